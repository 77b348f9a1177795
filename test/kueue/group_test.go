//go:build e2e

package kueue

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// jobSet of the stage's current attempt.
func (s *trial) jobSet() *unstructured.Unstructured {
	s.Helper()
	set := &unstructured.Unstructured{}
	set.SetAPIVersion("jobset.x-k8s.io/v1alpha2")
	set.SetKind("JobSet")
	s.Must(scenario.API.Get(s.Context(), s.Key(s.Stage("pretrain").Workload), set))
	return set
}

// Two workers are stopped together by a run of a higher priority, save at the same step, wait for the quota, and go on together, as
// the same JobSet, to the weights that they would have had.
func TestPreemptedGroup(t *testing.T) {
	low := start(t, scenario.PretrainOnly, scenario.TwoWorkers)
	low.runs(10)
	set := low.jobSet()
	var high *trial
	low.Frozen(func() { // one of them stands still, and so both do
		high = start(t, scenario.PretrainOnly, urgent)
		low.stops()
	})
	low.waits("queue training", "Preempted to accommodate a workload")
	saved := low.Stage("pretrain").Progress.Step
	low.Eventually("no pods", scenario.Patience, func() string { // which save first
		if pods := low.Pods(); len(pods) > 0 {
			return fmt.Sprintf("%d", len(pods))
		}
		return ""
	})
	high.Completes()
	from := low.resumes(saved)
	run := low.unharmed()
	t.Logf("stopped at step %d or later, went on from %d", saved, from)
	if now := low.jobSet(); now.GetUID() != set.GetUID() {
		t.Errorf("JobSet %s, want %s", now.GetUID(), set.GetUID())
	}
	if st := run.Status.Stages[0]; st.Attempts != 1 || st.LastFailure != nil {
		t.Errorf("stage %+v", st)
	}
}
