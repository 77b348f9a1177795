package controllers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// outcomeKind is how an attempt stands.
type outcomeKind int

const (
	outcomeRunning    outcomeKind = iota // not ended, or the Job controller has not caught up yet
	outcomeDone                          // exit 0 and a valid message
	outcomeLost                          // exit 0, but no valid message: run again
	outcomeFatal                         // exit 10 or 11: never retried
	outcomeFailed                        // any other failure: charged
	outcomeDisrupted                     // not the stage's fault: not charged
	outcomeNotStarted                    // the container could not be started: waits for a person
)

// reasonResultLost is the failure of an attempt that ended well and did not say with what.
const reasonResultLost = "ResultLost"

// outcome is what an attempt's Job and pods say about it.
type outcome struct {
	kind    outcomeKind
	failure v1alpha1.Failure // of all but Running and Done
	// vanished is set where only what is missing tells that the attempt ended: what was noted before says more.
	vanished bool
	message  *contract.TerminationMessage // of any end that left a valid one
}

// judge reads an attempt. Of a worker only the newest pod counts: where the Job has made a new one already,
// the older one's end is past. One that another hand stopped goes on when that starts it again.
func judge(a *attempt) outcome {
	o := judgeFree(a)
	if a.held() && o.kind != outcomeDone && o.kind != outcomeFatal {
		return outcome{kind: outcomeRunning, message: o.message}
	}
	return o
}

func judgeFree(a *attempt) outcome {
	if a.set != nil {
		return judgeWorkers(a)
	}
	pod := a.pod()
	switch {
	case pod == nil && a.complete():
		return lostResult()
	case pod == nil && a.failed():
		return outcome{kind: outcomeDisrupted, failure: v1alpha1.Failure{
			Reason: "PodDeleted", Message: "the attempt's pod was deleted"}}
	case pod == nil || !podEnded(pod) && !lingers(pod):
		return outcome{kind: outcomeRunning}
	}
	return judgeEnded(a, pod)
}

func lostResult() outcome {
	return outcome{kind: outcomeLost, vanished: true, failure: v1alpha1.Failure{
		Reason: reasonResultLost, Message: "the stage ended, but its pod and its message are gone"}}
}

// judgeEnded waits for the Job controller where that is about to see the end.
func judgeEnded(a *attempt, pod *corev1.Pod) outcome {
	o := endOfPod(a.stage, pod)
	switch o.kind {
	case outcomeFailed, outcomeLost, outcomeNotStarted:
		if !a.ended() && !lingers(pod) {
			return outcome{kind: outcomeRunning, message: o.message}
		}
	case outcomeRunning, outcomeDone, outcomeFatal, outcomeDisrupted: // are what they are
	}
	return o
}

// endOfPod is how a pod that has ended did.
func endOfPod(stage string, pod *corev1.Pod) outcome {
	terminated := terminatedState(pod)
	o := outcome{failure: v1alpha1.Failure{Pod: pod.Name, Node: pod.Spec.NodeName}}
	if terminated == nil {
		// The kubelet refused the pod (UnexpectedAdmissionError, OutOfcpu …) or its node went away.
		o.kind = outcomeDisrupted
		o.failure.Reason, o.failure.Message = orElse(pod.Status.Reason, "NeverStarted"), clean(pod.Status.Message, maxText)
		explainDisruption(&o.failure, pod)
		return o
	}
	code := terminated.ExitCode
	o.failure.ExitCode = &code
	message, err := parseTermination(terminated.Message, stage, code)
	o.message = message
	if err != nil {
		o.failure.Reason = orElse(terminated.Reason, "Error")
		o.failure.Message = clean(lastLines(terminated.Message), maxText)
	} else {
		o.failure.Reason, o.failure.Message = message.Reason, message.Message
	}
	o.kind = kindOf(code, pod)
	if o.kind == outcomeDone && err != nil {
		o.kind, o.failure.Reason = outcomeLost, reasonResultLost
		o.failure.Message = clean("the stage exited 0 without a valid termination message: "+err.Error(), maxText)
	}
	switch o.kind {
	case outcomeFailed, outcomeLost, outcomeNotStarted:
		explain(&o.failure, code, terminated.Reason)
	case outcomeDisrupted:
		explainDisruption(&o.failure, pod)
	case outcomeRunning, outcomeDone, outcomeFatal: // say it themselves
	}
	return o
}

// notStarted are the kubelet's reasons of a container that ended before it began, such as an image without
// simclr-trainer.
var notStarted = map[string]bool{"StartError": true, "ContainerCannotRun": true}

// kindOf is the contract's meaning of an exit code, and what happened to the pod besides.
func kindOf(code int32, pod *corev1.Pod) outcomeKind {
	disruption := podCondition(pod, corev1.DisruptionTarget)
	switch {
	case code == contract.ExitDone:
		return outcomeDone
	case code == contract.ExitUserError, code == contract.ExitDiverged:
		return outcomeFatal
	case notStarted[terminatedState(pod).Reason]:
		return outcomeNotStarted
	case code == contract.ExitTerminate,
		pod.DeletionTimestamp != nil,
		disruption != nil && disruption.Status == corev1.ConditionTrue:
		return outcomeDisrupted
	}
	return outcomeFailed
}

// explain adds what the operator knows of a failure to what the trainer said.
func explain(f *v1alpha1.Failure, code int32, kubelet string) {
	switch {
	case kubelet == "OOMKilled":
		f.Reason = "OOMKilled"
		f.Message = clean("out of memory: raise template.resources.limits.memory (where none is set the node ran out: raise requests.memory), or lower batchSize. "+f.Message, maxText)
	case f.Message == "":
		f.Message = fmt.Sprintf("the trainer exited with %d", code)
	}
}

func explainDisruption(f *v1alpha1.Failure, pod *corev1.Pod) {
	c := podCondition(pod, corev1.DisruptionTarget)
	switch {
	case c != nil && c.Status == corev1.ConditionTrue:
		f.Reason, f.Message = orElse(c.Reason, "Disrupted"), clean(c.Message, maxText)
	case pod.DeletionTimestamp != nil:
		f.Reason, f.Message = "PodDeleted", "the pod was deleted"
	}
}

func terminatedState(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	status := trainerStatus(pod)
	if status == nil {
		return nil
	}
	return status.State.Terminated
}

func orElse(value, other string) string {
	if value == "" {
		return other
	}
	return value
}
