//go:build e2e

package kueue

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// A quota for one run, and two: the second says what it waits for, and runs after the first.
func TestQuotaForOne(t *testing.T) {
	first := start(t, scenario.PretrainOnly)
	first.runs(1)
	second := &trial{scenario.Start(t, inQueue, scenario.PretrainOnly)}
	first.Frozen(func() {
		second.Condition(v1alpha1.ConditionStalled, metav1.ConditionTrue, "Queued", scenario.Patience, "LocalQueue training doesn't exist")
		second.Must(scenario.API.Create(t.Context(), localQueue(second.Run.Namespace)))
		second.waits("stage pretrain: attempt 1 waits for quota in queue training", "insufficient unused quota for cpu in flavor any-node, 1 more needed")
		if st := second.Stage("pretrain"); st.State != v1alpha1.StagePending || len(second.Pods()) > 0 {
			t.Errorf("stage %+v, pods %v", st, second.Pods())
		}
	})
	if run := first.Completes(); run.Status.Restarts != 0 || run.Status.Stages[0].Attempts != 1 {
		t.Errorf("first: %+v", run.Status)
	}
	run := second.Completes()
	if st := run.Status.Stages[0]; run.Status.Restarts != 0 || st.Attempts != 1 {
		t.Errorf("second: %+v", st)
	}
	queued := run.Status.Stages[0].StartTime.Time
	if total := run.Status.Stages[0].FinishTime.Sub(queued); time.Duration(run.Status.ActiveSeconds)*time.Second > total-sometime {
		t.Errorf("%d active seconds of %s: the time in the queue counted", run.Status.ActiveSeconds, total)
	}
}

// A run of a higher priority stops one of a lower, which saves, waits, goes on and ends with the weights that it would have had.
func TestPreemption(t *testing.T) {
	low := start(t, scenario.PretrainOnly)
	low.runs(10)
	job, begin := low.job(), time.Now()
	var high *trial
	low.Frozen(func() {
		high = start(t, scenario.PretrainOnly, urgent)
		low.waits("Preempted to accommodate a workload", "its pod saves and stops")
	})
	saved := low.Stage("pretrain").Progress.Step
	t.Logf("stopped %s after the urgent run was made, at step %d or later", time.Since(begin).Round(time.Second), saved)
	high.Completes()
	from := low.resumes(saved)
	run := low.unharmed()
	t.Logf("went on from step %d", from)
	st := run.Status.Stages[0]
	if st.Attempts != 1 || low.job().UID != job.UID || st.LastFailure != nil {
		t.Errorf("stage %+v, Job %s, want %s", st, low.job().UID, job.UID)
	}
}

// spec.suspend frees the quota and what resumes queues again; Kueue starts nothing that the user has suspended, and the operator
// nothing that Kueue has stopped.
func TestSuspensionAndQueue(t *testing.T) {
	s := start(t, scenario.PretrainOnly)
	step := s.runs(5)
	first := s.job()
	s.Edit(scenario.Suspended(true))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	s.Eventually("no Workload", scenario.Patience, func() string {
		if left := s.workloads(); len(left) > 0 {
			return fmt.Sprint(left)
		}
		return ""
	})
	release := s.taken(s.takeQuota("while-suspended")) // the quota is free
	s.Edit(scenario.Suspended(false))
	s.waits("attempt 2", "insufficient unused quota")
	second := s.job()
	s.Edit(scenario.Suspended(true)) // while it is queued
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	release()
	time.Sleep(sometime)
	if pods, left := s.Pods(), s.workloads(); len(pods) > 0 || left[first.UID] || left[second.UID] {
		t.Errorf("of a suspended run: pods %v, Workloads %v", pods, left)
	}
	s.Edit(scenario.Suspended(false))
	s.resumes(step)
	s.runs(5)
	var other *batchv1.Job
	s.Frozen(func() {
		other = s.takeQuota("at-once")
		s.Edit(scenario.Suspended(true)) // while Kueue stops it, too
		s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionFalse, "Suspending", scenario.Patience)
	})
	release = s.taken(other)
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	s.Edit(scenario.Suspended(false))
	s.waits("attempt 4")
	time.Sleep(sometime)
	if job := s.job(); job.Spec.Suspend == nil || !*job.Spec.Suspend || len(s.Pods()) > 0 {
		t.Errorf("Job %s was started without quota: pods %v", job.Name, s.Pods())
	}
	release()
	if st := s.unharmed().Status.Stages[0]; st.Attempts != 4 || st.LastFailure != nil {
		t.Errorf("stage %+v", st)
	}
}

// Five times the quota is taken; each time the run goes on from where it was stopped, with the same Job.
func TestFivePreemptions(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-kueue runs it; TestPreemption is the short form")
	}
	s := start(t, scenario.PretrainOnly)
	var from int64
	for i := range 5 {
		step := s.runs(5)
		release := s.preempt(fmt.Sprintf("urgent-%d", i))
		s.waits("Preempted to accommodate a workload")
		if pods := s.Pods(); len(pods) > 0 {
			t.Errorf("pods beside the urgent Job's: %v", pods)
		}
		release()
		from = s.resumes(max(step, from+1))
		t.Logf("stopped at step %d or later, went on from %d", step, from)
	}
	if st := s.unharmed().Status.Stages[0]; st.Attempts != 1 || st.LastFailure != nil {
		t.Errorf("stage %+v", st)
	}
}
