package controllers

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestManagedBy(t *testing.T) {
	for by, want := range map[string]bool{"": true, ControllerName: true, "kueue.x-k8s.io/multikueue": false} {
		r, api, request := newTestReconciler(t, interceptor.Funcs{})
		changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Spec.ManagedBy = by })
		reconcileRun(t, r, request, 2)
		var run v1alpha1.SimCLRRun
		if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
			t.Fatal(err)
		}
		jobs, told := len(jobNames(t, api)) > 0, len(run.Status.Conditions) > 0
		if jobs != want || told != want {
			t.Errorf("managedBy %q: a Job %v, a status %v; want %v", by, jobs, told, want)
		}
	}
}
