package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// suspend deletes what runs when the user wants it to stop, and waits until no pod is left. The trainer
// saves a checkpoint at SIGTERM; what resumes is the next attempt.
func (r *Reconciler) suspend(ctx context.Context, s *scope) error {
	if s.run.Spec.Suspend == nil || !*s.run.Spec.Suspend {
		return nil
	}
	stopping, err := r.stopWorkloads(ctx, s)
	if err != nil {
		return err
	}
	if stopping += len(s.strays); stopping > 0 {
		message := fmt.Sprintf("saving and stopping: %d to go", stopping)
		if !s.has(v1alpha1.ConditionSuspended, metav1.ConditionFalse, reasonSuspending) {
			s.tell(reasonSuspending, message)
		}
		s.set(v1alpha1.ConditionSuspended, metav1.ConditionFalse, reasonSuspending, message)
		s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonSuspending, message)
		r.unanswered(s)
		return errStop
	}
	if !s.has(v1alpha1.ConditionSuspended, metav1.ConditionTrue, reasonSuspended) {
		s.tell(reasonSuspended, "no pod runs; spec.suspend: false lets the run go on")
	}
	const message = "spec.suspend is true"
	s.set(v1alpha1.ConditionSuspended, metav1.ConditionTrue, reasonSuspended, message)
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonSuspended, message)
	if st := s.current(); st != nil && st.Attempts > 0 {
		st.State = v1alpha1.StageSuspended
	}
	r.Poller.Forget(client.ObjectKeyFromObject(s.run))
	return errStop
}

// stopWorkloads deletes the Jobs and JobSets that are not over, with their pods first, and says how many are not gone
// yet.
func (r *Reconciler) stopWorkloads(ctx context.Context, s *scope) (int, error) {
	stopping := 0
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.over() {
			continue
		}
		stopping++
		if st := s.stage(a.stage); len(a.pods) > 0 {
			s.recall(st, a)
			s.noteMessage(st, judge(a).message)
		}
		if err := r.stopAttempt(ctx, s, a); err != nil {
			return stopping, err
		}
	}
	return stopping, nil
}

// stopAttempt deletes an attempt's Job or JobSet, its pods first. What only that tells is noted before, for a status that is lost.
func (r *Reconciler) stopAttempt(ctx context.Context, s *scope, a *attempt) error {
	if !a.deleted() {
		err := r.noteCounts(ctx, s, a.stage, counts{a.number, a.ledger().charged, s.run.Status.ActiveSeconds})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return r.deleteWorkload(ctx, a, metav1.DeletePropagationForeground)
}

func (r *Reconciler) deleteWorkload(ctx context.Context, a *attempt, how metav1.DeletionPropagation) error {
	if a.deleted() {
		return nil
	}
	err := r.Delete(ctx, a.object, client.PropagationPolicy(how), client.Preconditions{UID: new(a.object.GetUID())})
	return client.IgnoreNotFound(err)
}
