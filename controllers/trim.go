package controllers

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Trim leaves out of what the cache keeps all that the operator does not read: with thousands of Jobs and pods, most of its
// memory. Nothing that comes out of the cache may be written back but a run, of which only managedFields are left out, which the API
// server keeps.
func Trim(object any) (any, error) {
	if o, err := meta.Accessor(object); err == nil {
		o.SetManagedFields(nil)
	}
	switch o := object.(type) {
	case *corev1.Pod:
		o.Spec = corev1.PodSpec{NodeName: o.Spec.NodeName}
		trimPod(&o.Status)
	case *batchv1.Job:
		trimJob(&o.Spec)
		o.Status = batchv1.JobStatus{Conditions: o.Status.Conditions}
	case *jobset.JobSet:
		for i := range o.Spec.ReplicatedJobs {
			trimJob(&o.Spec.ReplicatedJobs[i].Template.Spec)
		}
	}
	return object, nil
}

// readConditions are those of a pod that are read.
var readConditions = []corev1.PodConditionType{corev1.PodScheduled, corev1.PodReadyToStartContainers, corev1.DisruptionTarget}

func trimPod(status *corev1.PodStatus) {
	kept := corev1.PodStatus{Phase: status.Phase, Reason: status.Reason, Message: status.Message, PodIP: status.PodIP}
	for _, c := range status.Conditions {
		if slices.Contains(readConditions, c.Type) {
			kept.Conditions = append(kept.Conditions, corev1.PodCondition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message, LastTransitionTime: c.LastTransitionTime})
		}
	}
	for _, c := range status.ContainerStatuses {
		kept.ContainerStatuses = append(kept.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, State: c.State})
	}
	*status = kept
}

// trimJob keeps of the template what recallFromJobs reads.
func trimJob(spec *batchv1.JobSpec) {
	containers := spec.Template.Spec.Containers
	kept := make([]corev1.Container, len(containers))
	for i, c := range containers {
		env := slices.DeleteFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name != contract.EnvThreads })
		kept[i] = corev1.Container{Name: c.Name, Image: c.Image, Env: slices.Clip(slices.Clone(env))}
	}
	spec.Template, spec.PodFailurePolicy = corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: kept}}, nil
}
