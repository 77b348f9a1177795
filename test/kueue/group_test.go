//go:build e2e

package kueue

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// twoWorkers are stand-ins for trainers (test/standin), of fifteen seconds.
func twoWorkers(r *v1alpha1.SimCLRRun) {
	scenario.PretrainOnly(r)
	scenario.TwoWorkers(r)
	r.Spec.Template.Image = "simclr.local/standin:dev"
}

// jobSet of the stage's current attempt.
func (s *trial) jobSet() *unstructured.Unstructured {
	s.Helper()
	set := &unstructured.Unstructured{}
	set.SetAPIVersion("jobset.x-k8s.io/v1alpha2")
	set.SetKind("JobSet")
	s.Must(scenario.API.Get(s.Context(), s.Key(s.Stage("pretrain").Workload), set))
	return set
}

// Two workers are stopped together and start together, as the same JobSet; their Job is not failed by it.
func TestPreemptedGroup(t *testing.T) {
	s := start(t, twoWorkers)
	step := s.runs(10)
	set := s.jobSet()
	release := s.taken(s.takeQuota("urgent"))
	s.waits("queue training", "Preempted to accommodate a workload")
	s.Eventually("no pods", scenario.Patience, func() string {
		if pods := s.Pods(); len(pods) > 0 {
			return fmt.Sprintf("%d", len(pods))
		}
		return ""
	})
	release()
	from := s.resumes(step)
	run := s.Completes()
	t.Logf("stopped at step %d or later, went on from %d", step, from)
	if now := s.jobSet(); now.GetUID() != set.GetUID() {
		t.Errorf("JobSet %s, want %s", now.GetUID(), set.GetUID())
	}
	if st := run.Status.Stages[0]; run.Status.Restarts != 0 || st.Attempts != 1 || st.LastFailure != nil || st.UnchargedInRow != 0 {
		t.Errorf("restarts %d, stage %+v", run.Status.Restarts, st)
	}
}
