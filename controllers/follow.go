package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	// A pod that has not started is looked at again this often; after quietTime, events are read too.
	pendingRetry = 10 * time.Second
	quietTime    = 10 * time.Second
	// freshTime is how old the newest event may be. A kubelet that emits many lets one through every 5
	// minutes.
	freshTime = 6 * time.Minute
	// overdue is how long past its grace period a pod may be there before its node is suspected.
	overdue = 30 * time.Second
)

// waiting is why a pod does not run, in the kubelet's or the scheduler's words.
type waiting struct {
	reason, message string
	stalled         bool // nothing but a person helps
	unfit           bool // no node fits
}

// kubeletReasons are the kubelet's reasons of a container that waits and will not start by itself.
// ErrImagePull and ImagePullBackOff alternate, so they are one.
var kubeletReasons = map[string]string{
	"ErrImagePull":               reasonImagePullBackOff,
	"ImagePullBackOff":           reasonImagePullBackOff,
	"InvalidImageName":           reasonImagePullBackOff,
	"ErrImageNeverPull":          reasonImagePullBackOff,
	"RegistryUnavailable":        reasonImagePullBackOff,
	"ImageInspectError":          reasonImagePullBackOff,
	"SignatureValidationFailed":  reasonImagePullBackOff,
	"CreateContainerConfigError": reasonContainerConfigError,
	"CreateContainerError":       reasonContainerConfigError,
	"RunContainerError":          reasonContainerConfigError,
}

// follow says in the conditions how an attempt that goes on stands.
func (r *Reconciler) follow(ctx context.Context, s *scope, st *v1alpha1.StageStatus, a *attempt) error {
	if a.held() {
		return r.wait(ctx, s, st, a)
	}
	st.State = v1alpha1.StageRunning
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonStarting,
		fmt.Sprintf("stage %s: attempt %d is starting", st.Name, a.number))
	unfit := s.has(v1alpha1.ConditionResourcesFit, metav1.ConditionFalse, reasonUnschedulable) || s.has(v1alpha1.ConditionResourcesFit, metav1.ConditionFalse, reasonInsufficientDeviceMemory)
	if s.startsSoon(a) && unfit || !s.startsSoon(a) && !a.running() {
		s.fit(a) // else it is told with what comes next, to write the status once
	}
	for rank := range a.workers {
		if pod := a.podOf(rank); pod != nil && pod.DeletionTimestamp != nil {
			s.stopping(st)
			r.unanswered(s)
			return nil
		}
	}
	for rank := range a.workers {
		pod := a.podOf(rank)
		switch {
		case pod != nil && rank > 0 && endedWell(pod): // rank 0 evaluates alone
			continue
		case pod != nil && (podEnded(pod) || terminatedState(pod) != nil):
			s.stopping(st) // until the kubelet and the Job controller have seen it
			return nil
		case pod != nil && isRunning(pod):
			continue
		}
		return r.explainWait(ctx, s, st, a, rank)
	}
	s.running = a // progress says more
	return nil
}

// fit says so once every worker has a node.
func (s *scope) fit(a *attempt) {
	var where []string
	for rank := range a.workers {
		pod := a.podOf(rank)
		if pod == nil || pod.Spec.NodeName == "" {
			return
		}
		where = append(where, fmt.Sprintf("pod %s is on node %s", pod.Name, pod.Spec.NodeName))
	}
	s.set(v1alpha1.ConditionResourcesFit, metav1.ConditionTrue, reasonScheduled, strings.Join(where, ", "))
}

// startsSoon says whether a worker has been there for a moment only, and does not run yet.
func (s *scope) startsSoon(a *attempt) bool {
	return slices.ContainsFunc(a.pods, func(p corev1.Pod) bool {
		return !podEnded(&p) && !isRunning(&p) && s.now.Sub(p.CreationTimestamp.Time) < pendingRetry
	})
}

// running says whether every worker's trainer does.
func (a *attempt) running() bool {
	for rank := range a.workers {
		if pod := a.podOf(rank); pod == nil || !isRunning(pod) {
			return false
		}
	}
	return true
}

// explainWait says why a rank does not run.
func (r *Reconciler) explainWait(ctx context.Context, s *scope, st *v1alpha1.StageStatus, a *attempt, rank int32) error {
	s.requeue(pendingRetry)
	why, err := r.waitingFor(ctx, s, a, a.podOf(rank))
	if errors.Is(err, errAskLater) {
		s.keepExplanation()
		return nil
	}
	if err != nil {
		return err
	}
	if why == nil {
		return nil
	}
	if a.workers > 1 {
		why.message = fmt.Sprintf("rank %d of %d: %s", rank, a.workers, why.message)
		if why.reason == reasonVolumeNotReady { // the secret may have been one of a deleted run of this name
			if err := r.makeKey(ctx, s); err != nil {
				return err
			}
		}
	}
	s.explainWaiting(st, why)
	return nil
}

func (s *scope) explainWaiting(st *v1alpha1.StageStatus, why *waiting) {
	message := fmt.Sprintf("stage %s: %s", st.Name, advised(why.reason, why.message))
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, why.reason, message)
	if why.stalled {
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, why.reason, message)
	}
	if why.unfit {
		s.set(v1alpha1.ConditionResourcesFit, metav1.ConditionFalse, reasonUnschedulable, message)
	}
	if !s.has(v1alpha1.ConditionProgressing, metav1.ConditionFalse, why.reason) {
		s.warn(why.reason, message)
	}
}

// waitingFor reads the pod first, then events, which alone tell of volumes and of pods that could not
// be made.
func (r *Reconciler) waitingFor(ctx context.Context, s *scope, a *attempt, pod *corev1.Pod) (*waiting, error) {
	if pod == nil {
		return r.notMade(ctx, s, a)
	}
	if why := podWaiting(pod); why != nil {
		if avoid := a.ledger().avoid; why.unfit && len(avoid) > 0 {
			why.message += "; not used after a device failed there (exit 12): " + strings.Join(avoid, ", ")
		}
		return why, r.claimsWaiting(ctx, s, why)
	}
	ready := podCondition(pod, corev1.PodReadyToStartContainers)
	if pod.Spec.NodeName == "" || s.now.Sub(pod.CreationTimestamp.Time) < quietTime ||
		ready != nil && ready.Status == corev1.ConditionTrue { // volumes and network are there: the image is pulled
		return nil, nil
	}
	reason, text, err := r.lastEvent(ctx, s, pod.UID, kubeletEvents...)
	if err != nil || text == "" {
		return nil, err
	}
	return &waiting{reason: reason, message: text, stalled: true}, nil
}

// notMade is why an attempt has no pod.
func (r *Reconciler) notMade(ctx context.Context, s *scope, a *attempt) (*waiting, error) {
	if s.now.Sub(a.object.GetCreationTimestamp().Time) < quietTime {
		return nil, nil
	}
	about, reason, text := a.object.GetUID(), "JobCreationFailed", ""
	if a.job != nil {
		about, reason = a.job.UID, "FailedCreate"
	} else {
		text = "JobSet " + a.object.GetName() + " has no Job yet: does JobSet's controller run (namespace jobset-system)?"
	}
	_, said, err := r.lastEvent(ctx, s, about, eventReason{reason, reasonPodCreationFailed})
	if err != nil || said == "" && text == "" {
		return nil, err
	}
	return &waiting{reason: reasonPodCreationFailed, message: orElse(said, text), stalled: true}, nil
}

// podWaiting is what a pod's own status says.
func podWaiting(pod *corev1.Pod) *waiting {
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse {
		switch c.Reason {
		case corev1.PodReasonUnschedulable:
			return &waiting{reason: reasonUnschedulable, message: clean(c.Message, maxText), unfit: true}
		case corev1.PodReasonSchedulingGated:
			return &waiting{reason: reasonSchedulingGated, message: clean(c.Message, maxText)}
		}
	}
	status := trainerStatus(pod)
	if status == nil || status.State.Waiting == nil {
		return nil
	}
	w := status.State.Waiting
	reason, stuck := kubeletReasons[w.Reason]
	if !stuck {
		return nil
	}
	message := clean(w.Reason+": "+w.Message, maxText)
	if reason == reasonImagePullBackOff {
		message += "; suspend the run, correct template.image or template.imagePullSecrets, resume"
	}
	return &waiting{reason: reason, message: message, stalled: true}
}

// unanswered says so when a pod should be gone but is not: its node does not answer, and nothing but a
// person can know that it is dead.
func (r *Reconciler) unanswered(s *scope) {
	for _, pod := range s.pods() {
		if pod.DeletionTimestamp == nil || podEnded(&pod) {
			continue
		}
		// deletionTimestamp is when the grace period is over.
		if wait := pod.DeletionTimestamp.Add(overdue).Sub(s.now); wait > 0 {
			s.requeue(wait)
			continue
		}
		message := fmt.Sprintf("pod %s should be gone, but node %s does not say so: if the node is dead, delete it (kubectl delete node %s), or taint it with node.kubernetes.io/out-of-service",
			pod.Name, pod.Spec.NodeName, pod.Spec.NodeName)
		s.set(v1alpha1.ConditionProgressing, metav1.ConditionFalse, reasonNodeUnreachable, message)
		s.set(v1alpha1.ConditionStalled, metav1.ConditionTrue, reasonNodeUnreachable, message)
	}
}

func isRunning(pod *corev1.Pod) bool {
	status := trainerStatus(pod)
	return status != nil && status.State.Running != nil
}

// endedWell says whether a pod's trainer is done.
func endedWell(pod *corev1.Pod) bool {
	t := terminatedState(pod)
	return t != nil && t.ExitCode == contract.ExitDone
}
