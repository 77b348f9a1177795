//go:build e2e

package chaos

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// olderCommit is whose chart and manager a run's operator is upgraded from.
const olderCommit = "b0dde11bc4757c1b956c35f87bfc9e0b71ad1791"

// olderOperator builds the chart and the manager of an older commit and installs them until the test ends.
func olderOperator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "older")
	runs(t, "git", "worktree", "add", "--detach", dir, olderCommit)
	t.Cleanup(func() { runs(t, "git", "worktree", "remove", "--force", dir) })
	t.Cleanup(func() { runs(t, "hack/install.sh", "--set", "progressIntervalSeconds=1") })
	runs(t, "go", "-C", filepath.Join(dir, "hack/images"), "run", ".", "build", "--output", filepath.Join(dir, "images"), "--tag", "older", "manager")
	runs(t, "build/k8s/bin/cluster", "load", filepath.Join(dir, "images/manager.tar"))
	runs(t, "bash", "-euc", `source hack/environment.sh
		$helm upgrade simclr-operator "$0" --namespace simclr-system --wait --timeout 3m "${values[@]}" \
		  --set image.manager=simclr.local/manager:older --set progressIntervalSeconds=1`, filepath.Join(dir, "charts/simclr-operator"))
}

// operatorUpgraded upgrades to this commit's, which makes another Job of the same run: its trainer image has another name.
func operatorUpgraded(s *trial) {
	before := s.jobs()
	step := s.Stage(pretrain).Progress.Step
	s.Frozen(func() {
		runs(s.T, "hack/install.sh", "--set", "progressIntervalSeconds=1", "--set", "image.trainer=simclr.local/simclr-trainer:another")
	})
	s.Trains(pretrain, step+1)
	if after := s.jobs(); !slices.Equal(before, after) {
		s.Errorf("Jobs %v before the upgrade, %v after it", before, after)
	}
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

// runs a command in the repository's root.
func runs(t *testing.T, command ...string) {
	t.Helper()
	c := exec.Command(command[0], command[1:]...)
	c.Dir = scenario.Root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
}
