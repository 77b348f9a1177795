//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// A manager that watches one namespace runs what is there, has permissions nowhere else, and leaves other namespaces' runs alone.
func TestWatchNamespaces(t *testing.T) {
	one := func(r *v1alpha1.SimCLRRun) { r.Spec.Pretraining.Epochs = new(int32(1)) }
	s := start(t, scenario.PretrainOnly, one, scenario.Suspended(true))
	t.Cleanup(func() { scenario.Command(t, "hack/install.sh", "--set", "progressIntervalSeconds=1") }) // as hack/e2e.sh does
	scenario.Command(t, "hack/install.sh", "--set", "progressIntervalSeconds=1", "--set", "watchNamespaces={"+s.Run.Namespace+"}",
		"--set", "metrics.secure=false")
	other := start(t, scenario.PretrainOnly, one)

	var bindings rbacv1.ClusterRoleBindingList
	s.Must(scenario.API.List(t.Context(), &bindings))
	for _, b := range bindings.Items {
		if slices.ContainsFunc(b.Subjects, func(of rbacv1.Subject) bool { return of.Namespace == system }) {
			t.Errorf("ClusterRoleBinding %s grants %+v in all namespaces", b.Name, b.RoleRef)
		}
	}
	s.Edit(scenario.Suspended(false))
	s.Completes()
	time.Sleep(2 * time.Second) // long enough for a first look
	if run := other.Get(); len(run.Status.Conditions) > 0 {
		t.Errorf("a run of another namespace has the status %+v", run.Status)
	}
	if pods := other.Pods(); len(pods) > 0 {
		t.Errorf("a run of another namespace has pods: %v", pods)
	}
}
