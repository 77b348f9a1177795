//go:build e2e

package e2e

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// Suspension saves a checkpoint and frees the node; the run goes on from there and ends with the same weights.
func TestSuspendAndResume(t *testing.T) {
	s := start(t, scenario.PretrainOnly)
	s.Trains("pretrain", 10)
	s.Edit(scenario.Suspended(true))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	if pods := s.Pods(); len(pods) > 0 {
		t.Errorf("pods of a suspended run: %v", pods)
	}
	st := s.Stage("pretrain")
	if st.State != v1alpha1.StageSuspended || st.Checkpoint == nil || st.Checkpoint.Step < 10 {
		t.Errorf("stage %+v", st)
	}
	saved := st.Checkpoint.Step
	s.Edit(scenario.Suspended(false))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionFalse, "NotSuspended", scenario.Patience)
	s.Trains("pretrain", saved+1)
	if from := s.Stage("pretrain").Checkpoint.ResumedFrom; from == nil || *from != saved {
		t.Errorf("resumed from %v, saved at %d", from, saved)
	}
	s.WantUndisturbed(s.Completes(), 0)
}

// A pod that somebody deletes saves at SIGTERM, is replaced at once and charged to nobody.
func TestDeletedPod(t *testing.T) {
	s := start(t, scenario.PretrainOnly)
	s.Trains("pretrain", 10)
	pods := s.Pods()
	if len(pods) != 1 {
		t.Fatalf("pods %v", pods)
	}
	s.Must(scenario.API.Delete(t.Context(), &pods[0]))
	begin := time.Now()
	s.Eventually("another pod", scenario.Patience, func() string {
		for _, p := range s.Pods() {
			if p.UID != pods[0].UID && p.Spec.NodeName != "" {
				return ""
			}
		}
		return "none"
	})
	t.Logf("the next pod was there after %s", time.Since(begin).Round(time.Second))
	run := s.Completes()
	st := s.Stage("pretrain")
	if st.Attempts != 2 || st.LastFailure == nil || st.LastFailure.Charge != "Uncharged" || st.Checkpoint == nil || st.Checkpoint.ResumedFrom == nil {
		t.Errorf("stage %+v", st)
	}
	s.WantUndisturbed(run, 0)
}

// A pod that is killed without notice loses no more than what came after its last checkpoint, and is charged.
func TestKilledTrainer(t *testing.T) {
	s := start(t, scenario.PretrainOnly)
	s.Checkpointed("pretrain")
	pods := s.Pods()
	if len(pods) != 1 {
		t.Fatalf("pods %v", pods)
	}
	s.KillTrainer()
	run := s.Completes()
	st := s.Stage("pretrain")
	if st.Attempts != 2 || st.LastFailure == nil || st.LastFailure.Charge != "Charged" || *st.LastFailure.ExitCode != 137 ||
		st.Checkpoint.ResumedFrom == nil || *st.Checkpoint.ResumedFrom == 0 {
		t.Errorf("stage %+v", st)
	}
	s.WantUndisturbed(run, 1)
}
