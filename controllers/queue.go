package controllers

import (
	"context"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Labels of a run that its attempts get, for Kueue to read: https://kueue.sigs.k8s.io/docs/reference/labels-and-annotations/
const (
	LabelQueue         = "kueue.x-k8s.io/queue-name"
	LabelQueuePriority = "kueue.x-k8s.io/priority-class"
)

const (
	// A queued attempt is looked at again this often, for no watch tells of its Workload, and more often within queueSettles,
	// because Kueue makes it and says what it waits for within some seconds.
	queueRetry, queueFirstRetry, queueSettles = 30 * time.Second, 2 * time.Second, 15 * time.Second
	// jobPatience is how long a queued attempt is left to the Job controller after a disruption: its back-off was measured to be 13,
	// 21, 42 and 81 s, so it makes three more pods in the quota that the Job has. After that another Job is faster, though it
	// queues again.
	jobPatience = 60 * time.Second
)

// queueLabels are those of a run that say where its attempts wait, and how urgent they are.
func queueLabels(run *v1alpha1.SimCLRRun) map[string]string {
	labels := map[string]string{}
	for _, key := range []string{LabelQueue, LabelQueuePriority} {
		if value := run.Labels[key]; value != "" {
			labels[key] = value
		}
	}
	return labels
}

// queued says whether a run's attempts wait in a queue.
func queued(run *v1alpha1.SimCLRRun) bool { return run.Labels[LabelQueue] != "" }

// bornSuspended is spec.suspend of an attempt: a queue starts it, never the operator.
func bornSuspended(run *v1alpha1.SimCLRRun) *bool {
	if !queued(run) {
		return nil
	}
	return new(true)
}

// queue that starts and stops an attempt, by its label: a webhook of Kueue's may have given it one. "" where there is none.
func (a *attempt) queue() string { return a.object.GetLabels()[LabelQueue] }

// held says whether another hand than the operator's, such as Kueue's, keeps an attempt from running: it has no pods, or they save
// and stop. It may start it again, with the same attempt.
func (a *attempt) held() bool {
	suspend := (*bool)(nil)
	switch {
	case a.set != nil:
		suspend = a.set.Spec.Suspend
	case a.job != nil:
		suspend = a.job.Spec.Suspend
	}
	return suspend != nil && *suspend && !a.ended()
}

// resumed is when an attempt was last started by another hand; zero where none did.
func (a *attempt) resumed() time.Time {
	if a.job == nil {
		return time.Time{}
	}
	for i := range a.job.Status.Conditions {
		if c := &a.job.Status.Conditions[i]; c.Type == batchv1.JobSuspended && c.Status == corev1.ConditionFalse {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

// leftToJob is for how long a disrupted attempt is left to its Job, because that has a queue's quota, which another Job would wait
// for; 0 where the operator makes another.
func (s *scope) leftToJob(a *attempt, o outcome) time.Duration {
	if o.kind != outcomeDisrupted || a.queue() == "" || a.ended() || a.set != nil { // of a group none goes on without the others
		return 0
	}
	since := endOf(a, s.now)
	if o.failure.Time != nil {
		since = o.failure.Time.Time
	}
	if resumed := a.resumed(); resumed.After(since) {
		since = resumed
	}
	return since.Add(jobPatience).Sub(s.now)
}

// awaitPod notes a disruption that the Job makes good itself.
func (s *scope) awaitPod(st *v1alpha1.StageStatus, a *attempt, o outcome, wait time.Duration) {
	s.noteFailure(st, a, o, decision{})
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonBackingOff,
		fmt.Sprintf("stage %s: %s %s, which has its quota of queue %s, makes another pod", st.Name, a.kind(), a.object.GetName(), a.queue()))
	s.requeue(wait)
}

// wait says why an attempt waits that another hand holds.
func (r *Reconciler) wait(ctx context.Context, s *scope, st *v1alpha1.StageStatus, a *attempt) error {
	st.State = v1alpha1.StagePending
	why, err := r.whyHeld(ctx, s, a)
	if err != nil {
		return err
	}
	message := fmt.Sprintf("stage %s: %s", st.Name, why.message)
	if a.live() {
		message += "; its pod saves and stops"
	}
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonQueued, message)
	if why.stalled {
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonQueued, message)
	}
	switch {
	case why.stalled && !s.has(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonQueued):
		s.warn(reasonQueued, message)
	case !s.has(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonQueued):
		s.tell(reasonQueued, message)
	}
	s.requeue(queueRetry)
	if old := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionProgressing); old == nil || old.Reason != reasonQueued ||
		s.now.Sub(old.LastTransitionTime.Time) < queueSettles {
		s.requeue(queueFirstRetry)
	}
	r.unanswered(s)
	return nil
}
