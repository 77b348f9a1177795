package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Reasons of failures of several workers, where no worker's own words say more.
const (
	reasonPeerLost        = "PeerLost"
	reasonWorkersReplaced = "WorkersReplaced"
)

// judgeWorkers reads an attempt of several workers, once none of them runs any more: where one fails the others follow, so the
// first cause decides.
func judgeWorkers(a *attempt) outcome {
	lead, o := a.pod(), outcome{kind: outcomeRunning}
	if lead != nil && terminatedState(lead) != nil {
		o = endOfPod(a.stage, lead)
	}
	message := o.message
	switch running := slices.ContainsFunc(a.pods, func(p corev1.Pod) bool { return !podEnded(&p) && !lingers(&p) }); {
	case a.replaced():
		return outcome{kind: outcomeDisrupted, message: message, failure: v1alpha1.Failure{
			Reason: reasonWorkersReplaced, Message: "the attempt's Job was deleted and made again: its workers would not be of one group"}}
	case running, len(a.pods) == 0 && !a.ended():
		return outcome{kind: outcomeRunning, message: message}
	case o.kind == outcomeDone:
		return o // the result is stored, whatever became of the others then
	}
	first := firstCause(a)
	switch {
	case first.kind == outcomeFatal:
	case !a.ended() && !slices.ContainsFunc(a.pods, func(p corev1.Pod) bool { return lingers(&p) }):
		return outcome{kind: outcomeRunning, message: message} // the Job controller is about to see it
	}
	first.message = message
	return first
}

// replaced says whether a second Job has made pods: the JobSet controller makes one that was deleted again, in the same attempt.
func (a *attempt) replaced() bool {
	return a.job != nil && slices.ContainsFunc(a.pods, func(p corev1.Pod) bool { return ownerOf(&p) != a.job.UID })
}

// A cause's class: a lower one decides whatever the time.
const (
	classFatal   = iota // a user error or divergence, or a container that cannot start
	classFirst          // a failure or a disruption: the earlier one decides
	classLost           // rank 0 ended well and did not say with what
	classFollows        // another one, which it lost or after which the Job controller deleted it
	classNoCause        // ended well
)

type cause struct {
	outcome
	class int
	began time.Time
}

// firstCause is why the workers ended. Exit 13 is never a cause: where no worker has another one, the network or a node between
// them was at fault, or a pod that is gone.
func firstCause(a *attempt) outcome {
	var causes []cause
	for rank := range a.workers {
		if pod := a.podOf(rank); pod != nil {
			causes = append(causes, causeOf(a, pod))
		}
	}
	slices.SortStableFunc(causes, func(x, y cause) int {
		if x.class != y.class {
			return x.class - y.class
		}
		if c := x.began.Compare(y.began); c != 0 {
			return c
		}
		return int(x.kind) - int(y.kind) // of the same second: a failure, then a disruption
	})
	if len(causes) > 0 && causes[0].class < classFollows {
		return causes[0].outcome
	}
	if a.complete() {
		return lostResult()
	}
	return a.withoutCause(causes)
}

// causeOf is how a worker ended, and whether that may have ended the others.
func causeOf(a *attempt, pod *corev1.Pod) cause {
	c := cause{outcome: endOfPod(a.stage, pod), class: classFirst, began: beganToEnd(pod)}
	rank := rankOf(pod)
	c.failure.Rank = &rank
	c.failure.Message = clean(fmt.Sprintf("rank %d of %d: %s", rank, a.workers, c.failure.Message), maxText)
	code := c.failure.ExitCode
	disruption := podCondition(pod, corev1.DisruptionTarget)
	switch {
	case c.kind == outcomeFatal, c.kind == outcomeNotStarted:
		c.class = classFatal
	case code != nil && *code == contract.ExitDone:
		c.class = classNoCause
		if rank == 0 {
			c.class = classLost
		}
	case disruption != nil && disruption.Status == corev1.ConditionTrue:
	case code != nil && *code == contract.ExitPeerLost, a.deletedAfterFailure(pod):
		c.class = classFollows
	}
	return c
}

// deletedAfterFailure says whether the Job controller, which deletes the others after the first failure, deleted a pod. Both times
// are of the control plane's clock.
func (a *attempt) deletedAfterFailure(pod *corev1.Pod) bool {
	failure := jobCondition(a.job, batchv1.JobFailureTarget)
	if failure == nil {
		failure = jobCondition(a.job, batchv1.JobFailed)
	}
	return failure != nil && pod.DeletionTimestamp != nil && !deletionAsked(pod).Before(failure.LastTransitionTime.Time)
}

// deletionAsked is when a pod's deletion was asked for: deletionTimestamp is when the grace period is over.
func deletionAsked(pod *corev1.Pod) time.Time {
	asked := pod.DeletionTimestamp.Time
	if grace := pod.DeletionGracePeriodSeconds; grace != nil {
		asked = asked.Add(-time.Duration(*grace) * time.Second)
	}
	return asked
}

// beganToEnd is when what ended a pod began: a worker that is drained ends minutes after that, and the Job controller deletes the
// others after the first failure.
func beganToEnd(pod *corev1.Pod) time.Time {
	began := pod.CreationTimestamp.Time
	if t := terminatedState(pod); t != nil {
		began = t.FinishedAt.Time
	}
	if c := podCondition(pod, corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		return earlier(began, c.LastTransitionTime.Time)
	}
	if pod.DeletionTimestamp != nil {
		return earlier(began, deletionAsked(pod))
	}
	return began
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// withoutCause is an attempt that failed although no pod that is left tells why.
func (a *attempt) withoutCause(causes []cause) outcome {
	o := outcome{kind: outcomeDisrupted, vanished: true}
	said := ""
	if c := jobCondition(a.job, batchv1.JobFailed); c != nil && c.Reason == batchv1.JobReasonPodFailurePolicy {
		said = ": " + c.Message
	}
	if rank := a.firstGone(said); rank != nil {
		o.failure.Rank, o.failure.Reason = rank, "PodDeleted"
		o.failure.Message = clean(fmt.Sprintf("rank %d of %d: its pod was deleted%s", *rank, a.workers, said), maxText)
		return o
	}
	if len(causes) > 0 {
		o.failure, o.vanished = causes[0].failure, false
		o.failure.Reason = reasonPeerLost
	}
	return o
}

// firstGone is the rank of a pod that is gone; of several the one that the Job says failed first, by its pod's name (KEP-3329).
func (a *attempt) firstGone(said string) (first *int32) {
	for rank := range a.workers {
		if a.podOf(rank) != nil {
			continue
		}
		if first == nil || said != "" && strings.Contains(said, fmt.Sprintf("/%s-%d-", a.job.Name, rank)) {
			first = new(rank)
		}
	}
	return first
}
