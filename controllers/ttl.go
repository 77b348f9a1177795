package controllers

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// expire deletes a run that has ended, spec.ttlSecondsAfterFinished after that. What it owns goes with it, in the background.
func (r *Reconciler) expire(ctx context.Context, s *scope) error {
	ttl := s.run.Spec.TTLSecondsAfterFinished
	if ttl == nil {
		return nil
	}
	if left := finishTime(s.run).Add(time.Duration(*ttl) * time.Second).Sub(s.now); left > 0 {
		s.requeue(left)
		return nil
	}
	err := r.Delete(ctx, s.run, client.PropagationPolicy(metav1.DeletePropagationBackground), client.Preconditions{UID: &s.run.UID})
	return client.IgnoreNotFound(err)
}

// finishTime is when a run that has ended did.
func finishTime(run *v1alpha1.SimCLRRun) time.Time {
	for _, kind := range []string{v1alpha1.ConditionComplete, v1alpha1.ConditionFailed} {
		if c := meta.FindStatusCondition(run.Status.Conditions, kind); c != nil && c.Status == metav1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}
