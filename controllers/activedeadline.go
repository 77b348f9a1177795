package controllers

import (
	"context"
	"fmt"
	"time"

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
// status loses nothing that a Job tells.
func (s *scope) active() (sum time.Duration, running bool) {
	sum = time.Duration(s.run.Status.ActiveSeconds) * time.Second
	newest := s.newestOfAll()
	if newest == nil {
		return sum, false
	}
	of := time.Duration(parseCount(newest.object.GetAnnotations()[annotationActiveSeconds])) * time.Second
	for i := range newest.pods {
		status := trainerStatus(&newest.pods[i])
		switch {
		case status == nil, rankOf(&newest.pods[i]) != 0: // several workers run at once
		case status.State.Running != nil:
			of, running = of+s.now.Sub(status.State.Running.StartedAt.Time), true
		case status.State.Terminated != nil && !status.State.Terminated.StartedAt.IsZero():
			of += status.State.Terminated.FinishedAt.Sub(status.State.Terminated.StartedAt.Time)
		}
	}
	return max(sum, of), running
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
