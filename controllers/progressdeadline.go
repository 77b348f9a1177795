package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// defaultProgressDeadline of a run that an older operator made. Unit: seconds.
const defaultProgressDeadline = 1800

// progressDeadline is spec.progressDeadlineSeconds, which the trainer's watchdog keeps (exit 15).
func (s *scope) progressDeadline() int32 {
	if d := s.run.Spec.ProgressDeadlineSeconds; d != nil {
		return *d
	}
	return defaultProgressDeadline
}

// stalled tells of a trainer that has finished nothing for longer than the deadline, by its own clock, and that no watchdog has
// ended yet: an image that is not ours may have none.
func (s *scope) stalled(st *v1alpha1.StageStatus, p *contract.Progress) {
	if p.SinceLastUnitSeconds <= float64(s.progressDeadline()) {
		return
	}
	message := fmt.Sprintf("stage %s: nothing was finished for %.0f seconds, progressDeadlineSeconds is %d: phase %s, %d of %d; where the trainer does not end itself, delete pod %s",
		st.Name, p.SinceLastUnitSeconds, s.progressDeadline(), p.Phase, p.Done, p.Total, s.running.pod().Name)
	if !s.has(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonProgressDeadlineExceeded) {
		s.warn(reasonProgressDeadlineExceeded, message)
	}
	s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonProgressDeadlineExceeded, message)
}

// stillStalled keeps what was told of the trainer while nothing new is heard of it.
func (s *scope) stillStalled() {
	if s.has(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonProgressDeadlineExceeded) {
		c := meta.FindStatusCondition(s.before.Status.Conditions, v1alpha1.ConditionStalled)
		s.set(c.Type, c.Status, c.Reason, c.Message)
	}
}
