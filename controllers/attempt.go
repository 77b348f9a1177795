package controllers

import (
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Annotations of an attempt's Job.
const (
	annotationConfigHash      = "training.simclr.dev/config-hash"
	annotationContractVersion = "training.simclr.dev/contract-version"
	annotationCharged         = "training.simclr.dev/charged-restarts"
	annotationUnchargedInRow  = "training.simclr.dev/uncharged-in-row"
	annotationCheckpointStep  = "training.simclr.dev/checkpoint-step"
	annotationAvoidNodes      = "training.simclr.dev/avoid-nodes"
	annotationActiveSeconds   = "training.simclr.dev/active-seconds" // of the run, before the attempt
)

// attempt is one Job of a stage and its pods.
type attempt struct {
	stage  string
	number int32
	job    *batchv1.Job
	pods   []corev1.Pod
}

// ledger is what led to an attempt. It is written to the attempt's Job when that is made and never
// changes, so a stage's counters are read from its newest Job: a reconcile that runs twice, or with an
// old cache, counts nothing twice, and a lost status loses no count.
type ledger struct {
	charged        int32    // restarts of this stage that were charged
	unchargedInRow int32    // restarts since the last charged one or the last newer checkpoint
	checkpointStep int64    // newest checkpoint that was known of
	avoid          []string // nodes whose device failed
}

func newAttempt(job *batchv1.Job, pods []corev1.Pod) attempt {
	a := attempt{
		stage: job.Labels[LabelStage], number: int32(parseCount(job.Labels[LabelAttempt])), job: job,
	}
	for _, pod := range pods {
		if owner := pod.OwnerReferences; len(owner) > 0 && owner[0].UID == job.UID {
			a.pods = append(a.pods, pod)
		}
	}
	slices.SortFunc(a.pods, func(x, y corev1.Pod) int {
		return x.CreationTimestamp.Compare(y.CreationTimestamp.Time)
	})
	return a
}

func (a *attempt) ledger() ledger {
	notes := a.job.Annotations
	l := ledger{
		charged:        int32(parseCount(notes[annotationCharged])),
		unchargedInRow: int32(parseCount(notes[annotationUnchargedInRow])),
		checkpointStep: parseCount(notes[annotationCheckpointStep]),
	}
	if nodes := notes[annotationAvoidNodes]; nodes != "" {
		l.avoid = strings.Split(nodes, ",")
	}
	return l
}

func (l ledger) annotations() map[string]string {
	return map[string]string{
		annotationCharged:        strconv.Itoa(int(l.charged)),
		annotationUnchargedInRow: strconv.Itoa(int(l.unchargedInRow)),
		annotationCheckpointStep: strconv.FormatInt(l.checkpointStep, 10),
		annotationAvoidNodes:     strings.Join(l.avoid, ","),
	}
}

// pod is the newest pod; nil where there is none.
func (a *attempt) pod() *corev1.Pod {
	if len(a.pods) == 0 {
		return nil
	}
	return &a.pods[len(a.pods)-1]
}

// live says whether a pod of the attempt may still write to the output.
func (a *attempt) live() bool {
	return slices.ContainsFunc(a.pods, func(p corev1.Pod) bool { return !podEnded(&p) })
}

// ended says whether the Job will make no more pods.
func (a *attempt) ended() bool {
	return jobCondition(a.job, batchv1.JobComplete) != nil || jobCondition(a.job, batchv1.JobFailed) != nil
}

// over says whether nothing comes of an attempt any more, so that it can stay as the record of what
// happened. The Job controller takes a second to end a Job whose pod exited with 0, 10 or 11, but makes
// no other pod.
func (a *attempt) over() bool {
	if a.live() {
		return false
	}
	kind := judge(a).kind
	return a.ended() || kind == outcomeDone || kind == outcomeFatal
}

func jobCondition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func podEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// lingers says whether a pod lives on for containers that are not the trainer's, such as a sidecar that a
// webhook injected. (The kubelet itself takes a second from a pod's last exit to its phase.)
func lingers(pod *corev1.Pod) bool {
	return !podEnded(pod) && terminatedState(pod) != nil &&
		slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.State.Running != nil })
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == kind {
			return c
		}
	}
	return nil
}

// trainerStatus is the trainer container's status; nil before the kubelet has told of it.
func trainerStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	for i := range pod.Status.ContainerStatuses {
		if c := &pod.Status.ContainerStatuses[i]; c.Name == ContainerName {
			return c
		}
	}
	return nil
}
