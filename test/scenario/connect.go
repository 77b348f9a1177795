// Package scenario is what the tests on a real node share: a run in a namespace of its own, and what they do to it and
// wait for.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

var (
	// API reads and writes the API server itself.
	API client.Client
	// Root of the repository.
	Root string
	// Trainer is bin/simclr-trainer, built from the same sources as the image's.
	Trainer string
	// Mirror of known datasets as the host reaches it.
	Mirror = os.Getenv("SIMCLR_E2E_MIRROR")
)

// Connect to the cluster of the environment. It is called once, by the TestMain of a folder beside this one.
func Connect() error {
	if os.Getenv("KUBECONFIG") == "" || Mirror == "" {
		return errors.New("KUBECONFIG and SIMCLR_E2E_MIRROR are not set: run the make targets that test on a node, which set them")
	}
	var err error
	if Root, err = filepath.Abs("../.."); err != nil {
		return err
	}
	Trainer = filepath.Join(Root, "bin/simclr-trainer")
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	if API, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := API.List(ctx, &v1alpha1.SimCLRRunList{}); err != nil {
		return fmt.Errorf("the cluster has no SimCLRRuns (make install): %w", err)
	}
	return nil
}
