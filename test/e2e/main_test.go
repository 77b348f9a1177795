//go:build e2e

// Package e2e runs the operator's chart and the real trainer image on a real node: a real scheduler, kubelet, containers
// and volumes. `make test-e2e` brings the cluster up, installs the operator and runs it.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

var (
	// api reads and writes the API server itself.
	api client.Client
	// root of the repository.
	root string
	// trainer is bin/simclr-trainer, built from the same sources as the image's.
	trainer string
	// mirror of known datasets as the host reaches it.
	mirror = os.Getenv("SIMCLR_E2E_MIRROR")
)

func TestMain(m *testing.M) {
	if err := connect(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func connect() error {
	if os.Getenv("KUBECONFIG") == "" || mirror == "" {
		return errors.New("KUBECONFIG and SIMCLR_E2E_MIRROR are not set: run make test-e2e, which sets them")
	}
	var err error
	if root, err = filepath.Abs("../.."); err != nil {
		return err
	}
	trainer = filepath.Join(root, "bin/simclr-trainer")
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
	if api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := api.List(ctx, &v1alpha1.SimCLRRunList{}); err != nil {
		return fmt.Errorf("the cluster has no SimCLRRuns (make install): %w", err)
	}
	return nil
}
