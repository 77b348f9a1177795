package controllers

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestWhatIsThereAfterAllIsApplied(t *testing.T) {
	applied := 0
	r, _, _ := newTestReconciler(t, interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			applied++
			return nil
		},
	})
	wanted := corev1ac.ConfigMap("map", "ns").WithData(map[string]string{"a": "b"})
	for want := range 2 {
		if err := r.make(t.Context(), wanted, &corev1.ConfigMap{}); err != nil {
			t.Fatal(err)
		}
		if applied != want {
			t.Errorf("applied %d times, want %d", applied, want)
		}
	}
	var stored corev1.ConfigMap
	if err := r.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "map"}, &stored); err != nil || stored.Data["a"] != "b" {
		t.Errorf("stored %v, %v", stored.Data, err)
	}
}

func TestAConfigurationIsReadOnce(t *testing.T) {
	var c configs
	key := types.NamespacedName{Namespace: "ns", Name: "run"}
	get := func(hash, text string) int32 {
		t.Helper()
		run, err := c.get(key, hash, text)
		if err != nil {
			t.Fatal(err)
		}
		size := run.Spec.BatchSize
		run.Spec.BatchSize = 1 // the caller's own
		return size
	}
	const first, second = "spec: {batchSize: 256}", "spec: {batchSize: 512}"
	if got := get("h1", first); got != 256 {
		t.Errorf("batchSize %d, want 256", got)
	}
	if got := get("h1", second); got != 256 {
		t.Errorf("batchSize %d, want 256: the hash says that it is the one that was read", got)
	}
	if got := get("h2", second); got != 512 {
		t.Errorf("batchSize %d, want 512: another configuration", got)
	}
	c.forget(key)
	if got := get("h2", first); got != 256 {
		t.Errorf("batchSize %d, want 256: it was forgotten", got)
	}
}
