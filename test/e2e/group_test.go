//go:build e2e

package e2e

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// Two pods train one encoder, then one evaluates it.
func TestGroup(t *testing.T) {
	s := scenario.Start(t, scenario.PretrainOnly, scenario.TwoWorkers, func(r *v1alpha1.SimCLRRun) {
		r.Spec.Pretraining.Epochs = new(int32(6))
		r.Spec.LinearEvaluation = v1alpha1.LinearEvaluationSpec{Mode: v1alpha1.Enabled, Method: v1alpha1.LinearLBFGS, MaxIterations: new(int32(20))}
	})
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training", scenario.Patience, "2 workers")
	run := s.Completes()
	if run.Status.Workers != 2 || run.Status.Restarts != 0 {
		t.Errorf("status.workers %d, %d restarts", run.Status.Workers, run.Status.Restarts)
	}
	var later batchv1.Job
	s.Must(scenario.API.Get(t.Context(), s.Key("small-linear-eval-1"), &later))
	if n := *later.Spec.Parallelism; n != 1 {
		t.Errorf("%d workers evaluate", n)
	}
}

// A group that is suspended leaves no pod behind, and goes on with one worker where it is edited so meanwhile.
func TestGroupGoesOnWithOneWorker(t *testing.T) {
	s := scenario.Start(t, scenario.PretrainOnly, scenario.TwoWorkers)
	s.Trains("pretrain", 10)
	s.Edit(scenario.Suspended(true))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	if pods := s.Pods(); len(pods) > 0 {
		t.Errorf("pods of a suspended group: %v", pods)
	}
	saved := s.Stage("pretrain").Checkpoint
	if saved == nil || saved.Step < 10 {
		t.Fatalf("checkpoint %+v of a group that was at step 10", saved)
	}
	s.Edit(func(r *v1alpha1.SimCLRRun) { r.Spec.Workers = new(int32(1)) })
	s.Edit(scenario.Suspended(false))
	run := s.Completes()
	var second batchv1.Job
	s.Must(scenario.API.Get(t.Context(), s.Key("small-pretrain-2"), &second))
	st := s.Stage("pretrain")
	if st.Attempts != 2 || run.Status.Restarts != 0 || st.LastFailure != nil || run.Status.Workers != 1 {
		t.Errorf("status.workers %d, stage %+v", run.Status.Workers, st)
	}
	if st.Checkpoint.ResumedFrom == nil || *st.Checkpoint.ResumedFrom < saved.Step {
		t.Errorf("checkpoint %+v: two workers had saved step %d", st.Checkpoint, saved.Step)
	}
}
