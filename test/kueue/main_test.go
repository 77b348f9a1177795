//go:build e2e

// Package kueue puts runs into queues of the real Kueue on a real node: `make test-kueue` brings the cluster up, installs the operator
// and runs it. It installs Kueue for its own time, because Kueue's webhooks see every Job of the cluster, and makes the queues of
// config/samples/kueue.
package kueue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

func TestMain(m *testing.M) {
	code, err := withKueue(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "kueue:", err)
		code = 1
	}
	os.Exit(code)
}

func withKueue(m *testing.M) (code int, err error) {
	if err := scenario.Connect(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, leaveNothing()) }()
	if err := command(filepath.Join(scenario.Root, "hack/kueue.sh"), "up"); err != nil {
		return 1, err
	}
	team := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}} // of the samples
	if err := scenario.API.Create(context.Background(), team); err != nil {
		return 1, err
	}
	if err := command("kubectl", "apply", "--filename", filepath.Join(scenario.Root, "config/samples/kueue")); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

func leaveNothing() error {
	down := command(filepath.Join(scenario.Root, "hack/kueue.sh"), "down")
	team := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}
	return errors.Join(down, client.IgnoreNotFound(scenario.API.Delete(context.Background(), team)))
}

func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", filepath.Base(name), args, err)
	}
	return nil
}

// localQueue of the samples' quota, in a namespace.
func localQueue(namespace string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"clusterQueue": "training"}}}
	u.SetAPIVersion("kueue.x-k8s.io/v1beta2")
	u.SetKind("LocalQueue")
	u.SetNamespace(namespace)
	u.SetName("training")
	return u
}
