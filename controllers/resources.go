package controllers

import (
	"math"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// containerResources are the template's, completed so that a pod is never BestEffort, and the devices.
// Half of the CPU limit is requested: a node never gives away all of its processors, so that a request
// of 2 would fit no node of 2.
func containerResources(spec *v1alpha1.SimCLRRunSpec, devices corev1.ResourceList) corev1.ResourceRequirements {
	cpu, limit, memory := resource.MustParse("1"), resource.MustParse("2"), resource.MustParse("2Gi")
	if spec.Accelerator.Type == v1alpha1.NvidiaGPU || spec.Accelerator.Type == v1alpha1.TPU {
		cpu, limit, memory = resource.MustParse("2"), resource.MustParse("4"), resource.MustParse("8Gi")
	}
	var r corev1.ResourceRequirements
	if spec.Template.Resources != nil {
		r = *spec.Template.Resources.DeepCopy()
	}
	if r.Requests == nil {
		r.Requests = corev1.ResourceList{}
	}
	if r.Limits == nil {
		r.Limits = corev1.ResourceList{}
	}
	if !given(r, corev1.ResourceCPU) {
		r.Requests[corev1.ResourceCPU], r.Limits[corev1.ResourceCPU] = cpu, limit
	}
	if !given(r, corev1.ResourceMemory) {
		r.Requests[corev1.ResourceMemory] = memory
	}
	for name, count := range devices {
		r.Requests[name], r.Limits[name] = count, count
	}
	return r
}

func given(r corev1.ResourceRequirements, name corev1.ResourceName) bool {
	_, requested := r.Requests[name]
	_, limited := r.Limits[name]
	return requested || limited
}

// threadsOf is how many threads compute: the CPU limit, or the request where there is no limit, rounded,
// at least 1. libgomp would count the node's processors, not the cgroup's.
func threadsOf(r corev1.ResourceRequirements) int32 {
	cpu, limited := r.Limits[corev1.ResourceCPU]
	if !limited {
		cpu = r.Requests[corev1.ResourceCPU]
	}
	return int32(max(1, math.Round(cpu.AsApproximateFloat64())))
}
