package controllers

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// What pods with accelerators need of the cluster to be one XLA program, besides what every group of workers has. No variable of
// NCCL's is set: it finds the pod's interface by itself, and XLA's client its peers by the workers' key-value store.

const (
	sharedMemoryDir = "/dev/shm"
	// sharedMemoryBytes is what NCCL's guide says to give a container (--shm-size=1g) whose runtime gives 64 MiB: NCCL makes files of
	// some MiB there for each pair of GPUs that it connects, also between threads of a process, and does not start without. It is a
	// limit, no reservation: what is used counts as the container's memory.
	// https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting/runtime_and_mpi_issues.html, Shared memory
	sharedMemoryBytes = 1 << 30

	// libtpu finds the other hosts of a slice by these. On GKE a webhook sets them too, for a Job that is indexed, has a subdomain and
	// more than one pod, and requests google.com/tpu, as a JobSet's Job does: to the same names in the same order, so it does not
	// matter whose stays; where accelerator.resourceName is another, it does not. The slice's shape (TPU_TOPOLOGY,
	// TPU_ACCELERATOR_TYPE, TPU_HOST_BOUNDS and others) comes with the devices from GKE's device plugin, and a pod's variables would
	// hide it.
	// https://cloud.google.com/kubernetes-engine/docs/how-to/tpus
	envTPUWorkerID        = "TPU_WORKER_ID"
	envTPUWorkerHostnames = "TPU_WORKER_HOSTNAMES"
)

// acceleratorGroup says whether several pods with accelerators train together.
func (s *scope) acceleratorGroup() bool {
	switch s.config.Spec.Accelerator.Type {
	case v1alpha1.NvidiaGPU, v1alpha1.TPU:
		return s.workersOf(v1alpha1.StagePretrain) > 1
	case v1alpha1.CPU:
	}
	return false
}

// sharesMemory says whether NCCL has something to do in a stage's pods: between the GPUs of one, or of several.
func (s *scope) sharesMemory(stage string) bool {
	a := s.config.Spec.Accelerator
	return a.Type == v1alpha1.NvidiaGPU && (*a.DevicesPerWorker > 1 || s.workersOf(stage) > 1)
}

func sharedMemory() (corev1.Volume, corev1.VolumeMount) {
	const name = "shared-memory"
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
		Medium: corev1.StorageMediumMemory, SizeLimit: resource.NewQuantity(sharedMemoryBytes, resource.BinarySI),
	}}}, corev1.VolumeMount{Name: name, MountPath: sharedMemoryDir}
}

// sliceEnvironment tells libtpu the hosts of its slice, by rank, and which one this is.
func sliceEnvironment(name string, workers int32) []corev1.EnvVar {
	hosts := make([]string, workers)
	for rank := range hosts {
		hosts[rank] = workerHost(name, rank)
	}
	return []corev1.EnvVar{
		{Name: envTPUWorkerID, ValueFrom: completionIndex()},
		{Name: envTPUWorkerHostnames, Value: strings.Join(hosts, ",")},
	}
}
