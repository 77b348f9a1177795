// Package testing has short ways to say what a test's runs, Jobs and pods are.
package testing

import (
	"encoding/json"
	"maps"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// RunWrapper builds a SimCLRRun.
type RunWrapper struct{ v1alpha1.SimCLRRun }

// MakeRun is a run with nothing but what is required, and without linear evaluation.
func MakeRun(namespace, name string) *RunWrapper {
	w := &RunWrapper{}
	w.Namespace, w.Name = namespace, name
	w.Spec.Dataset.Name = "fashion-mnist"
	w.Spec.BatchSize = 256
	w.Spec.LinearEvaluation.Mode = v1alpha1.Disabled
	return w
}

// Obj is the run.
func (w *RunWrapper) Obj() *v1alpha1.SimCLRRun { return &w.SimCLRRun }

// UID of the run.
func (w *RunWrapper) UID(uid types.UID) *RunWrapper {
	w.ObjectMeta.UID = uid
	return w
}

// LinearEvaluation adds that stage.
func (w *RunWrapper) LinearEvaluation() *RunWrapper {
	w.Spec.LinearEvaluation.Mode = v1alpha1.Enabled
	return w
}

// Finetuning adds a stage.
func (w *RunWrapper) Finetuning(name string, fraction v1alpha1.Decimal) *RunWrapper {
	w.Spec.Finetuning = append(w.Spec.Finetuning, v1alpha1.FinetuningSpec{Name: name, LabelFraction: fraction})
	return w
}

// Suspended sets spec.suspend.
func (w *RunWrapper) Suspended(suspend bool) *RunWrapper {
	w.Spec.Suspend = &suspend
	return w
}

// Workers of the run.
func (w *RunWrapper) Workers(n int32) *RunWrapper {
	w.Spec.Workers = &n
	return w
}

// MaxRestarts of the run.
func (w *RunWrapper) MaxRestarts(n int32) *RunWrapper {
	w.Spec.RestartPolicy.MaxRestarts = &n
	return w
}

// Retention of the output claim.
func (w *RunWrapper) Retention(r v1alpha1.ClaimRetention) *RunWrapper {
	w.Spec.Output.Claim = &v1alpha1.ClaimSpec{Retention: r}
	return w
}

// DatasetURI instead of a known name.
func (w *RunWrapper) DatasetURI(uri string, format v1alpha1.DatasetFormat) *RunWrapper {
	w.Spec.Dataset = v1alpha1.DatasetSpec{URI: uri, Format: format}
	return w
}

// FromURI takes an encoder over.
func (w *RunWrapper) FromURI(uri string) *RunWrapper {
	w.Spec.Pretraining.From = &v1alpha1.EncoderSource{URI: uri}
	return w
}

// FromRun takes the encoder of another run.
func (w *RunWrapper) FromRun(name string) *RunWrapper {
	w.Spec.Pretraining.From = &v1alpha1.EncoderSource{Run: name}
	return w
}

// Accelerator of the run.
func (w *RunWrapper) Accelerator(a v1alpha1.AcceleratorSpec) *RunWrapper {
	w.Spec.Accelerator = a
	return w
}

// Template of the run's pods.
func (w *RunWrapper) Template(t v1alpha1.PodTemplate) *RunWrapper {
	w.Spec.Template = t
	return w
}

// PodWrapper builds a pod as the Job controller and the kubelet make it.
type PodWrapper struct{ corev1.Pod }

// MakePod is a Job's pod on a node.
func MakePod(job *batchv1.Job, name, node string) *PodWrapper {
	w := &PodWrapper{}
	w.ObjectMeta = metav1.ObjectMeta{
		Namespace: job.Namespace, Name: name,
		Labels: job.Spec.Template.Labels, Annotations: job.Spec.Template.Annotations,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}
	w.Spec = *job.Spec.Template.Spec.DeepCopy()
	w.Spec.NodeName = node
	w.Status.Phase = corev1.PodPending
	return w
}

// Obj is the pod.
func (w *PodWrapper) Obj() *corev1.Pod { return &w.Pod }

// Running at an address.
func (w *PodWrapper) Running(ip string) *PodWrapper {
	w.Status.Phase = corev1.PodRunning
	if ip != "" {
		w.Status.PodIP, w.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	}
	return w.container(corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
}

// Waiting for a reason of the kubelet's.
func (w *PodWrapper) Waiting(reason, message string) *PodWrapper {
	return w.container(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
}

// Exited with a code and a termination message.
func (w *PodWrapper) Exited(code int32, message string) *PodWrapper {
	w.Status.Phase = corev1.PodFailed
	if code == 0 {
		w.Status.Phase = corev1.PodSucceeded
	}
	return w.container(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: code, Message: message, FinishedAt: metav1.NewTime(time.Now().Truncate(time.Second)),
	}})
}

// Sidecar adds a container that goes on, and so does the pod.
func (w *PodWrapper) Sidecar() *PodWrapper {
	w.Status.Phase = corev1.PodRunning
	w.Status.ContainerStatuses = append(w.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: "sidecar", Image: "sidecar", ImageID: "sidecar",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
	})
	return w
}

// Condition of the pod.
func (w *PodWrapper) Condition(kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) *PodWrapper {
	w.Status.Conditions = append(w.Status.Conditions, corev1.PodCondition{
		Type: kind, Status: status, Reason: reason, Message: message,
	})
	return w
}

// Rank of the pod among several workers, of a JobSet.
func (w *PodWrapper) Rank(rank int, set types.UID) *PodWrapper {
	labels := maps.Clone(w.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[batchv1.JobCompletionIndexAnnotation], labels[jobset.JobSetUIDKey] = strconv.Itoa(rank), string(set)
	w.Labels = labels
	return w
}

// Deleted at a time: when its grace period is over.
func (w *PodWrapper) Deleted(at time.Time) *PodWrapper {
	w.DeletionTimestamp = new(metav1.NewTime(at))
	return w
}

func (w *PodWrapper) container(state corev1.ContainerState) *PodWrapper {
	w.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "trainer", Image: "trainer", ImageID: "trainer", State: state,
	}}
	return w
}

// JobWrapper builds an attempt's Job.
type JobWrapper struct{ batchv1.Job }

// MakeJob is a Job of a stage with the annotations of the attempt.
func MakeJob(stage string, annotations map[string]string) *JobWrapper {
	w := &JobWrapper{}
	w.Name, w.UID = "run-"+stage+"-1", "job"
	w.Labels = map[string]string{"training.simclr.dev/stage": stage, "training.simclr.dev/attempt": "1"}
	w.Annotations = annotations
	return w
}

// Obj is the Job.
func (w *JobWrapper) Obj() *batchv1.Job { return &w.Job }

// Suspended by another hand than the operator's.
func (w *JobWrapper) Suspended(yes bool) *JobWrapper {
	w.Spec.Suspend = &yes
	return w
}

// Queue that the Job is of, where name is not empty.
func (w *JobWrapper) Queue(name string) *JobWrapper {
	if name != "" {
		w.Labels["kueue.x-k8s.io/queue-name"] = name
	}
	return w
}

// Ended adds the conditions that the Job controller ends a Job with.
func (w *JobWrapper) Ended(kind batchv1.JobConditionType, reason string) *JobWrapper {
	EndJob(&w.Job, kind, reason)
	return w
}

// EndJob adds the conditions that the Job controller ends a Job with.
func EndJob(job *batchv1.Job, kind batchv1.JobConditionType, reason string) {
	now := metav1.NewTime(time.Now().Truncate(time.Second))
	before := batchv1.JobFailureTarget
	if job.Status.StartTime == nil { // it does not change
		job.Status.StartTime = &now
	}
	job.Status.Failed = 1
	if kind == batchv1.JobComplete {
		before = batchv1.JobSuccessCriteriaMet
		job.Status.CompletionTime, job.Status.Succeeded, job.Status.Failed = &now, 1, 0
		job.Status.CompletedIndexes = "0"
	}
	for _, k := range []batchv1.JobConditionType{before, kind} {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{
			Type: k, Status: corev1.ConditionTrue, Reason: reason, LastProbeTime: now, LastTransitionTime: now,
		})
	}
}

// Message is a termination message as a trainer leaves it.
func Message(m contract.TerminationMessage) string {
	m.SchemaVersion = contract.Version
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // a plain struct always marshals
	}
	return string(text)
}
