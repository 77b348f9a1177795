package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// countedEvery is how often status.activeSeconds is written while a trainer runs.
const countedEvery = 30 * time.Second

// activeDeadline stops a run whose trainers have run for spec.activeDeadlineSeconds, lets them save, and ends it.
func (r *Reconciler) activeDeadline(ctx context.Context, s *scope) error {
	active, running := s.active()
	st := &s.run.Status
	if told := time.Duration(st.ActiveSeconds) * time.Second; !running || active-told >= countedEvery {
		st.ActiveSeconds = int64(active / time.Second)
	}
	limit := s.run.Spec.ActiveDeadlineSeconds
	if limit == nil {
		return nil
	}
	left := time.Duration(*limit)*time.Second - active
	if left > 0 {
		if running {
			s.requeue(left)
		}
		return nil
	}
	st.ActiveSeconds = int64(active / time.Second)
	stopping, err := r.stopWorkloads(ctx, s)
	if err != nil {
		return err
	}
	if stopping += len(s.strays); stopping > 0 {
		s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonDeadlineExceeded,
			fmt.Sprintf("activeDeadlineSeconds %d are over: saving and stopping: %d to go", *limit, stopping))
		r.unanswered(s)
		return errStop
	}
	return failf(reasonDeadlineExceeded, "activeDeadlineSeconds: the run's trainers ran for %d seconds, %d were allowed; make a new run with more",
		st.ActiveSeconds, *limit)
}

// active is how long trainers of the run have run, and whether one does. Each attempt's Job says what was before it, so a lost
// status loses nothing that a Job tells. Of an attempt that a queue stops and starts again, the pods that were are gone: the status
// says what was before the newest.
func (s *scope) active() (sum time.Duration, running bool) {
	st := &s.run.Status
	sum = time.Duration(st.ActiveSeconds) * time.Second
	newest := s.newestOfAll()
	if newest == nil {
		return sum, false
	}
	before := time.Duration(parseCount(newest.object.GetAnnotations()[annotationActiveSeconds])) * time.Second
	pod := newest.pod()
	if pod == nil {
		return max(sum, before), false
	}
	for i := range newest.pods {
		if older := &newest.pods[i]; older.Name != pod.Name && rankOf(older) == 0 { // several workers run at once
			ran, _ := s.ran(older)
			before += ran
		}
	}
	ran, running := s.ran(pod)
	switch {
	case st.ActivePod == pod.Name:
		before = max(before, time.Duration(st.ActiveSecondsBefore)*time.Second)
	case st.ActivePod != "" && ran > 0:
		before = max(before, sum)
	}
	if ran > 0 {
		st.ActivePod, st.ActiveSecondsBefore = pod.Name, int64(before/time.Second)
	}
	return max(sum, before+ran), running
}

// ran is how long a pod's trainer has run, and whether it does.
func (s *scope) ran(pod *corev1.Pod) (time.Duration, bool) {
	status := trainerStatus(pod)
	switch {
	case status == nil:
	case status.State.Running != nil:
		return s.now.Sub(status.State.Running.StartedAt.Time), true
	case status.State.Terminated != nil && !status.State.Terminated.StartedAt.IsZero():
		return status.State.Terminated.FinishedAt.Sub(status.State.Terminated.StartedAt.Time), false
	}
	return 0, false
}

// newestOfAll attempts, of any stage; nil where there is none.
func (s *scope) newestOfAll() *attempt {
	var newest *attempt
	for i := range s.attempts {
		a := &s.attempts[i]
		made := a.object.GetCreationTimestamp()
		if newest == nil || newest.object.GetCreationTimestamp().Time.Before(made.Time) {
			newest = a
		}
	}
	return newest
}
