package controllers

import (
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// blockedRetry is how often the operator looks again at what no watch tells it of, such as another
// person's claim.
const blockedRetry = 15 * time.Second

// errStop ends the list of sub-reconcilers: nothing more is to be done until something changes.
var errStop = errors.New("nothing more to do")

// errEnded ends it for a run that is complete or has failed: its conditions stay as they are.
var errEnded = errors.New("the run has ended")

// conflictRetry is the wait for the cache after a write that was based on an old object.
const conflictRetry = time.Second

// failedError ends the run for good.
type failedError struct{ reason, message string }

func (e *failedError) Error() string { return e.reason + ": " + e.message }

func failf(reason, format string, args ...any) error {
	return &failedError{reason, fmt.Sprintf(format, args...)}
}

// blockedError is something that a person or another run must do first. The run waits and looks again.
type blockedError struct {
	reason, message string
	stalled         metav1.ConditionStatus // True where nothing but a person helps
}

func (e *blockedError) Error() string { return e.reason + ": " + e.message }

// blockf waits for a person.
func blockf(reason, format string, args ...any) error {
	return &blockedError{reason, fmt.Sprintf(format, args...), metav1.ConditionTrue}
}

// waitf waits for something that happens by itself.
func waitf(reason, format string, args ...any) error {
	return &blockedError{reason, fmt.Sprintf(format, args...), metav1.ConditionFalse}
}

// settle turns what a sub-reconciler ended with into conditions and the next look at the run; it is the
// only place that does. An unexpected error goes back to the work queue, which backs off.
func (s *scope) settle(err error) (ctrl.Result, error) {
	var failed *failedError
	blocked := blocking(err)
	switch {
	case errors.Is(err, errEnded):
		return ctrl.Result{RequeueAfter: s.requeueAfter}, nil
	case err == nil, errors.Is(err, errStop):
	case errors.As(err, &failed):
		s.fail(failed)
	case blocked != nil:
		s.block(blocked)
	case apierrors.IsConflict(err):
		s.requeue(conflictRetry)
	default:
		return ctrl.Result{}, err
	}
	s.setDefaults()
	return ctrl.Result{RequeueAfter: s.requeueAfter}, nil
}

// blocking is what a person or another run must do first, where an error says so. What the API server
// refuses once (quota, admission, a value that only it checks) it refuses again.
func blocking(err error) *blockedError {
	var blocked *blockedError
	switch {
	case errors.As(err, &blocked):
		return blocked
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err):
		return &blockedError{reasonObjectRefused, advised(reasonObjectRefused, "the API server refuses an object of the run: "+err.Error()), metav1.ConditionTrue}
	}
	return nil
}

func (s *scope) fail(e *failedError) {
	s.set(v1alpha1.ConditionFailed, metav1.ConditionTrue, e.reason, e.message)
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, e.reason, e.message)
	s.set(v1alpha1.ConditionStalled, metav1.ConditionFalse, reasonFailed, "the run has ended")
	s.warn(e.reason, e.message)
	if stage := s.current(); stage != nil {
		stage.State = v1alpha1.StageFailed
		stage.FinishTime = s.time()
	}
}

func (s *scope) block(e *blockedError) {
	switch {
	case s.has(v1alpha1.ConditionProgressing, metav1.ConditionFalse, e.reason):
	case e.stalled == metav1.ConditionTrue:
		s.warn(e.reason, e.message)
	default:
		s.tell(e.reason, e.message)
	}
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, e.reason, e.message)
	s.set(v1alpha1.ConditionStalled, e.stalled, e.reason, e.message)
	s.requeue(blockedRetry)
}
