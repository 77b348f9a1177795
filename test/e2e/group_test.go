//go:build e2e

package e2e

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// twoWorkers are stand-ins for trainers (test/standin): these tests are of what the operator makes of them.
func twoWorkers(r *v1alpha1.SimCLRRun) {
	scenario.PretrainOnly(r)
	scenario.TwoWorkers(r)
	r.Spec.Template.Image = "simclr.local/standin:dev"
}

// rankOf a pod of several workers.
func rankOf(pod *corev1.Pod) string { return pod.Labels["batch.kubernetes.io/job-completion-index"] }

// workers waits until both have pods, and gives them by rank.
func workers(s *scenario.Scenario) map[string]corev1.Pod {
	s.Helper()
	byRank := map[string]corev1.Pod{}
	s.Eventually("two workers", scenario.Patience, func() string {
		pods := s.Pods()
		for _, p := range pods {
			byRank[rankOf(&p)] = p
		}
		if len(pods) != 2 || len(byRank) != 2 {
			return "not there"
		}
		return ""
	})
	return byRank
}

// Two pods train one encoder, then one evaluates it.
func TestGroup(t *testing.T) {
	s := scenario.Start(t, twoWorkers, func(r *v1alpha1.SimCLRRun) {
		r.Spec.LinearEvaluation = v1alpha1.LinearEvaluationSpec{Mode: v1alpha1.Enabled, Method: v1alpha1.LinearLBFGS, MaxIterations: new(int32(20))}
	})
	workers(s)
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

// A worker that is killed takes the other with it; both go on from the last checkpoint, and the kill alone is charged.
func TestGroupOfAKilledWorker(t *testing.T) {
	s := scenario.Start(t, twoWorkers)
	s.Checkpointed("pretrain")
	workers(s)
	s.Kill(s.TrainerOfRank(1))
	run := s.Completes()
	st := s.Stage("pretrain")
	if f := st.LastFailure; st.Attempts != 2 || f == nil || f.Charge != "Charged" || f.Rank == nil || *f.Rank != 1 || *f.ExitCode != 137 {
		t.Errorf("stage %+v, last failure %+v", st, st.LastFailure)
	}
	if st.Checkpoint.ResumedFrom == nil || *st.Checkpoint.ResumedFrom == 0 {
		t.Errorf("checkpoint %+v: the second attempt began anew", st.Checkpoint)
	}
	if run.Status.Restarts != 1 {
		t.Errorf("%d restarts were charged, want 1", run.Status.Restarts)
	}
}

// A worker that is evicted, as by a drain, saves with the other at the same step; nobody is charged.
func TestGroupOfAnEvictedWorker(t *testing.T) {
	s := scenario.Start(t, twoWorkers)
	s.Trains("pretrain", 10)
	evicted := workers(s)["1"]
	begin := time.Now()
	s.Must(scenario.API.SubResource("eviction").Create(t.Context(), &evicted, &policyv1.Eviction{}))
	s.Eventually("the second attempt", scenario.Patience, func() string {
		if s.Stage("pretrain").Attempts < 2 {
			return "none"
		}
		return ""
	})
	t.Logf("the next attempt was made after %s", time.Since(begin).Round(time.Second))
	run := s.Completes()
	st := s.Stage("pretrain")
	if f := st.LastFailure; st.Attempts != 2 || f == nil || f.Charge != "Uncharged" || st.Checkpoint.ResumedFrom == nil || *st.Checkpoint.ResumedFrom == 0 {
		t.Errorf("stage %+v, last failure %+v", st, st.LastFailure)
	}
	if run.Status.Restarts != 0 {
		t.Errorf("%d restarts were charged", run.Status.Restarts)
	}
}

// A group that is suspended leaves no pod behind, and goes on with one worker where it is edited so meanwhile.
func TestGroupGoesOnWithOneWorker(t *testing.T) {
	s := scenario.Start(t, twoWorkers)
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
	if st := s.Stage("pretrain"); st.Attempts != 2 || run.Status.Restarts != 0 || st.LastFailure != nil || run.Status.Workers != 1 {
		t.Errorf("status.workers %d, stage %+v", run.Status.Workers, st)
	}
}
