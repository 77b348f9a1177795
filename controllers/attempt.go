package controllers

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

// Annotations of an attempt's Job or JobSet.
const (
	annotationConfigHash      = "training.simclr.dev/config-hash"
	annotationContractVersion = "training.simclr.dev/contract-version"
	annotationCharged         = "training.simclr.dev/charged-restarts"
	annotationUnchargedInRow  = "training.simclr.dev/uncharged-in-row"
	annotationCheckpointStep  = "training.simclr.dev/checkpoint-step"
	annotationAvoidNodes      = "training.simclr.dev/avoid-nodes"
	annotationActiveSeconds   = "training.simclr.dev/active-seconds" // of the run, before the attempt
)

// attempt is one try at a stage: a Job with its pod, or, where several workers train together, a JobSet with one Job and their
// pods.
type attempt struct {
	stage   string
	number  int32
	object  client.Object  // what the operator made: the Job, or the JobSet
	set     *jobset.JobSet // nil where the operator made a Job
	job     *batchv1.Job   // which makes the pods; nil before a JobSet has made it, and where it is gone
	workers int32
	pods    []corev1.Pod // oldest first
}

// ledger is what led to an attempt. It is written to the attempt's Job or JobSet when that is made and never
// changes, so a stage's counters are read from its newest Job: a reconcile that runs twice, or with an
// old cache, counts nothing twice, and a lost status loses no count.
type ledger struct {
	charged        int32    // restarts of this stage that were charged
	unchargedInRow int32    // restarts since the last charged one or the last newer checkpoint
	checkpointStep int64    // newest checkpoint that was known of
	avoid          []string // nodes whose device failed
}

func newAttempt(job *batchv1.Job, pods []corev1.Pod) attempt {
	a := attemptOf(job)
	a.job, a.workers = job, 1
	a.take(pods, func(pod *corev1.Pod) bool { return ownerOf(pod) == job.UID })
	return a
}

// newSetAttempt finds a JobSet's Job and pods. Pods are known by the JobSet's UID in their labels, so that those of a Job that is
// gone are found too.
func newSetAttempt(set *jobset.JobSet, jobs []batchv1.Job, pods []corev1.Pod) attempt {
	a := attemptOf(set)
	a.set, a.workers = set, 1
	if len(set.Spec.ReplicatedJobs) == 1 {
		if n := set.Spec.ReplicatedJobs[0].Template.Spec.Completions; n != nil {
			a.workers = *n
		}
	}
	for i := range jobs {
		job := &jobs[i]
		if ownerOf(job) == set.UID && (a.job == nil || a.job.CreationTimestamp.Before(&job.CreationTimestamp)) {
			a.job = job
		}
	}
	a.take(pods, func(pod *corev1.Pod) bool { return pod.Labels[jobset.JobSetUIDKey] == string(set.UID) })
	return a
}

func attemptOf(object client.Object) attempt {
	labels := object.GetLabels()
	return attempt{stage: labels[LabelStage], number: int32(parseCount(labels[LabelAttempt])), object: object}
}

func (a *attempt) take(pods []corev1.Pod, ours func(*corev1.Pod) bool) {
	for i := range pods {
		if ours(&pods[i]) {
			a.pods = append(a.pods, pods[i])
		}
	}
	slices.SortFunc(a.pods, func(x, y corev1.Pod) int {
		return x.CreationTimestamp.Compare(y.CreationTimestamp.Time)
	})
}

func (a *attempt) ledger() ledger {
	notes := a.object.GetAnnotations()
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

// pod is the newest pod of rank 0, which tells of progress and results; nil where there is none.
func (a *attempt) pod() *corev1.Pod { return a.podOf(0) }

// podOf is the newest pod of a rank; nil where there is none.
func (a *attempt) podOf(rank int32) *corev1.Pod {
	for i := len(a.pods) - 1; i >= 0; i-- {
		if rankOf(&a.pods[i]) == rank {
			return &a.pods[i]
		}
	}
	return nil
}

// nodes of the attempt's workers, in words.
func (a *attempt) nodes() string {
	var names []string
	for rank := range a.workers {
		if pod := a.podOf(rank); pod != nil && !slices.Contains(names, pod.Spec.NodeName) {
			names = append(names, pod.Spec.NodeName)
		}
	}
	if a.workers == 1 {
		return "node " + strings.Join(names, "")
	}
	return fmt.Sprintf("%d workers, nodes %s", a.workers, strings.Join(names, ", "))
}

// template is that of the attempt's pods.
func (a *attempt) template() *corev1.PodTemplateSpec {
	switch {
	case a.set == nil:
		return &a.job.Spec.Template
	case len(a.set.Spec.ReplicatedJobs) == 1:
		return &a.set.Spec.ReplicatedJobs[0].Template.Spec.Template
	}
	return &corev1.PodTemplateSpec{}
}

func (a *attempt) deleted() bool { return a.object.GetDeletionTimestamp() != nil }

// live says whether a pod of the attempt may still write to the output.
func (a *attempt) live() bool {
	return slices.ContainsFunc(a.pods, func(p corev1.Pod) bool { return !podEnded(&p) })
}

// ended says whether no more pods will be made.
func (a *attempt) ended() bool { return a.complete() || a.failed() }

func (a *attempt) complete() bool {
	return jobCondition(a.job, batchv1.JobComplete) != nil || a.setCondition(jobset.JobSetCompleted)
}

func (a *attempt) failed() bool {
	return jobCondition(a.job, batchv1.JobFailed) != nil || a.setCondition(jobset.JobSetFailed)
}

func (a *attempt) setCondition(kind jobset.JobSetConditionType) bool {
	return a.set != nil && meta.IsStatusConditionTrue(a.set.Status.Conditions, string(kind))
}

// over says whether nothing comes of an attempt any more, so that it can stay as the record of what
// happened. The Job controller takes a second to end a Job whose pod exited with 0, 10 or 11, but makes
// no other pod.
func (a *attempt) over() bool {
	if a.live() || a.held() {
		return false
	}
	kind := judge(a).kind
	return a.ended() || kind == outcomeDone || kind == outcomeFatal
}

func jobCondition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	if job == nil {
		return nil
	}
	for i := range job.Status.Conditions {
		c := &job.Status.Conditions[i]
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// rankOf is a pod's place among the workers, from 0: its index in its Job.
func rankOf(pod *corev1.Pod) int32 {
	return int32(parseCount(pod.Labels[batchv1.JobCompletionIndexAnnotation]))
}

// ownerOf is the UID of an object's controller; "" where it has none.
func ownerOf(object metav1.Object) types.UID {
	if owner := metav1.GetControllerOf(object); owner != nil {
		return owner.UID
	}
	return ""
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
