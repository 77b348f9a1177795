//go:build e2e

package chaos

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// olderCommit is whose chart and manager a run's operator is upgraded from.
const olderCommit = "b0dde11bc4757c1b956c35f87bfc9e0b71ad1791"

// olderOperator builds the chart and the manager of an older commit and installs them until the test ends.
func olderOperator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "older")
	scenario.Command(t, "git", "worktree", "add", "--detach", dir, olderCommit)
	t.Cleanup(func() { scenario.Command(t, "git", "worktree", "remove", "--force", dir) })
	t.Cleanup(func() { scenario.Command(t, "hack/install.sh", "--set", "progressIntervalSeconds=1") })
	scenario.Command(t, "go", "-C", filepath.Join(dir, "hack/images"), "run", ".", "build", "--output", filepath.Join(dir, "images"), "--tag", "older", "manager")
	scenario.Command(t, "build/k8s/bin/cluster", "load", filepath.Join(dir, "images/manager.tar"))
	scenario.Command(t, "bash", "-euc", `source hack/environment.sh
		$helm upgrade simclr-operator "$0" --namespace simclr-system --wait --timeout 3m "${values[@]}" \
		  --set image.manager=simclr.local/manager:older --set progressIntervalSeconds=1`, filepath.Join(dir, "charts/simclr-operator"))
}

// operatorUpgraded upgrades to this commit's, which makes another Job of the same run: its trainer image has another name. The CRD,
// a template of the chart, is upgraded too: it has a field that the older one had not.
func operatorUpgraded(s *trial) {
	before, run := s.jobs(), s.Get()
	if err := s.newField(); err == nil || !strings.Contains(err.Error(), "workers") {
		s.Errorf("spec.workers of an older CRD: %v, want it to be unknown", err)
	}
	step := s.Stage(pretrain).Progress.Step
	s.Frozen(func() {
		scenario.Command(s.T, "hack/install.sh", "--set", "progressIntervalSeconds=1", "--set", "image.trainer=simclr.local/simclr-trainer:another")
	})
	s.Must(s.newField())
	s.Trains(pretrain, step+1)
	if after := s.Get(); after.Status.ConfigHash != run.Status.ConfigHash || after.Status.Image != run.Status.Image || after.Generation != run.Generation {
		s.Errorf("the run before the upgrade: %+v\nafter it: %+v", run, after)
	}
	if after := s.jobs(); !slices.Equal(before, after) {
		s.Errorf("Jobs %v before the upgrade, %v after it", before, after)
	}
}

// newField creates a run that has a field which the older CRD does not know, without storing it.
func (s *trial) newField() error {
	run := &v1alpha1.SimCLRRun{ObjectMeta: metav1.ObjectMeta{Namespace: s.Run.Namespace, Name: "new"}, Spec: *s.Run.Spec.DeepCopy()}
	run.Spec.Workers = new(int32(1))
	return scenario.API.Create(s.Context(), run, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

// jobs of the run, by UID.
func (s *trial) jobs() []string {
	s.Helper()
	var list batchv1.JobList
	s.Must(scenario.API.List(s.Context(), &list, client.InNamespace(s.Run.Namespace)))
	var uids []string
	for _, j := range list.Items {
		uids = append(uids, string(j.UID))
	}
	return uids
}
