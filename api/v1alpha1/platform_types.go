package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// AcceleratorType is the kind of device that trains.
//
// +kubebuilder:validation:Enum=CPU;NvidiaGPU;TPU
type AcceleratorType string

// The accelerator types.
const (
	CPU       AcceleratorType = "CPU"
	NvidiaGPU AcceleratorType = "NvidiaGPU"
	TPU       AcceleratorType = "TPU"
)

// AugmentationsPlace is what makes views.
//
// +kubebuilder:validation:Enum=Host;Accelerator
type AugmentationsPlace string

// The places.
const (
	AugmentationsHost        AugmentationsPlace = "Host"
	AugmentationsAccelerator AugmentationsPlace = "Accelerator"
)

// AcceleratorSpec is the device that trains and how nodes offer it.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'NvidiaGPU' || !has(self.product)",message="accelerator.product: is only for type NvidiaGPU; remove it"
// +kubebuilder:validation:XValidation:rule="self.type == 'TPU' || !has(self.generation)",message="accelerator.generation: is only for type TPU; remove it"
// +kubebuilder:validation:XValidation:rule="self.type == 'TPU' || !has(self.topology)",message="accelerator.topology: is only for type TPU; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'TPU' || has(self.generation)",message="accelerator.generation: is needed for type TPU; set v3, v4, v5e, v5p or v6e"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'TPU' || has(self.topology)",message="accelerator.topology: is needed for type TPU; set one such as 2x2 or 2x2x1"
// +kubebuilder:validation:XValidation:rule="self.type != 'CPU' || !has(self.devicesPerWorker)",message="accelerator.devicesPerWorker: is not for type CPU; remove it"
// +kubebuilder:validation:XValidation:rule="self.type != 'CPU' || !has(self.resourceName)",message="accelerator.resourceName: is not for type CPU; remove it"
// +kubebuilder:validation:XValidation:rule="self.type != 'CPU' || !has(self.augmentations) || self.augmentations == 'Host'",message="accelerator.augmentations: Accelerator is not for type CPU; set it to Host, or remove it"
// +kubebuilder:validation:XValidation:rule="self.type != 'CPU' || !has(self.tolerations)",message="accelerator.tolerations: is not for type CPU; use template.tolerations"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'TPU' || !has(self.generation) || !has(self.topology) || (self.generation in ['v4', 'v5p'] ? (self.topology in ['2x2x1', '2x2x2', '2x2x4', '2x4x4'] || self.topology.matches('^(4|8|12|16)x(4|8|12|16)x(4|8|12|16)$')) : self.topology in {'v3': ['2x2', '4x4', '4x8', '8x8', '8x16', '16x16', '16x32', '32x32'], 'v5e': ['1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16'], 'v6e': ['1x1', '2x2', '2x4', '4x4', '4x8', '8x8', '8x16', '16x16']}[self.generation])",message="accelerator.topology: the generation has no such slice; set one of v3: 2x2, 4x4, 4x8 … 32x32; v5e, v6e: 1x1, 2x2, 2x4, 4x4 … 16x16; v4, v5p: 2x2x1, 2x2x2, 2x2x4, 2x4x4, or three sides of 4, 8, 12 or 16"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'TPU' || !has(self.topology) || !self.topology.matches('^(4|8|12|16)x(4|8|12|16)x(4|8|12|16)$') || int(self.topology.split('x')[0]) * int(self.topology.split('x')[1]) * int(self.topology.split('x')[2]) <= 1024",message="accelerator.topology: a run has at most 256 workers, of 4 chips each; set one of at most 1024 chips"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'TPU' || !has(self.topology) || !has(self.devicesPerWorker) || self.devicesPerWorker == (self.topology == '1x1' ? 1 : (self.topology == '2x4' ? 8 : 4))",message="accelerator.devicesPerWorker: must be the chips of a host of topology; remove it"
type AcceleratorSpec struct {
	// type is the kind of device that trains: CPU, NvidiaGPU (CUDA) or TPU. Default: CPU.
	// +optional
	// +kubebuilder:default=CPU
	Type AcceleratorType `json:"type,omitempty"`

	// devicesPerWorker is how many GPUs or TPU chips a pod gets; each, of v3 each of a chip's two cores, trains on as many
	// images. Unit: devices. Default: 1 GPU; the chips of a host of the TPU topology. Not for CPU.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=64
	DevicesPerWorker *int32 `json:"devicesPerWorker,omitempty"`

	// augmentations says what makes the views of pretraining: Host, the CPU cores beside the accelerator, or Accelerator,
	// from the pixels that the host decodes and what it draws at random; both make the same views (docs/augmentations.md).
	// Default: Host for CPU, which has no other; Accelerator for NvidiaGPU, which may have few CPU cores beside it; Host for TPU,
	// whose hosts have some twenty a chip.
	// +optional
	Augmentations AugmentationsPlace `json:"augmentations,omitempty"`

	// product of an NVIDIA GPU as the node label nvidia.com/gpu.product has it (GPU feature
	// discovery), such as NVIDIA-H200, or as cloud.google.com/gke-accelerator has it (nvidia-…).
	// Default: any.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	Product string `json:"product,omitempty"`

	// generation of the TPU: v3, v4, v5e, v5p or v6e. Default: none; it is needed for type TPU.
	// +optional
	// +kubebuilder:validation:Enum=v3;v4;v5e;v5p;v6e
	Generation string `json:"generation,omitempty"`

	// topology of the TPU slice, such as 2x2 (v3, v5e, v6e) or 2x2x1 (v4, v5p); one of several hosts, such as 4x4, has a
	// worker on each. Unit: chips a side.
	// Default: none; it is needed for type TPU.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:Pattern=`^[0-9]{1,3}x[0-9]{1,3}(x[0-9]{1,3})?$`
	Topology string `json:"topology,omitempty"`

	// resourceName that pods request. Default: nvidia.com/gpu or google.com/tpu.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
	ResourceName string `json:"resourceName,omitempty"`

	// tolerations instead of the default. Default: one for the taint NoSchedule of the resource's usual name.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
}

// CheckpointSpec says how often a stage's state is saved. A stage that is stopped saves besides.
type CheckpointSpec struct {
	// intervalSeconds between two checkpoints of a stage, each saved at the end of a step. Unit: seconds.
	// Default: 300, this project's choice: what a crash may lose against the time that saving takes.
	// +optional
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`

	// keep is how many checkpoints of a stage are kept, the newest ones. Unit: checkpoints. Default: 2, this
	// project's choice: where the newest is damaged, the stage goes on from the one before.
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Keep int32 `json:"keep,omitempty"`
}

// OutputSpec says where a run's files are kept: claim (the default), or existingClaim.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.claim) && has(self.existingClaim))",message="output: set at most one of claim and existingClaim"
type OutputSpec struct {
	// claim is a PersistentVolumeClaim that the operator makes for the run. Default: one of 10Gi, where
	// existingClaim is not set.
	// +optional
	Claim *ClaimSpec `json:"claim,omitempty"`

	// existingClaim is the name of a PersistentVolumeClaim of the namespace; the run's files go to a
	// directory of it that is named by the run's UID. Default: none, the operator makes one.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ExistingClaim string `json:"existingClaim,omitempty"`
}

// ClaimRetention says what becomes of a claim when its run is deleted.
//
// +kubebuilder:validation:Enum=Retain;Delete
type ClaimRetention string

// The values of ClaimRetention.
const (
	ClaimRetain ClaimRetention = "Retain"
	ClaimDelete ClaimRetention = "Delete"
)

// ClaimAccessMode says from how many nodes a claim is mounted at a time.
//
// +kubebuilder:validation:Enum=ReadWriteOnce;ReadWriteMany
type ClaimAccessMode string

// The values of ClaimAccessMode.
const (
	ClaimReadWriteOnce ClaimAccessMode = "ReadWriteOnce"
	ClaimReadWriteMany ClaimAccessMode = "ReadWriteMany"
)

// ClaimSpec is a PersistentVolumeClaim to make.
type ClaimSpec struct {
	// size of the volume, at least 1Mi. Unit: bytes, or with a suffix such as Mi or Gi. Default: 10Gi.
	// +optional
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).compareTo(quantity('1Mi')) >= 0",message="output.claim.size: must be at least 1Mi; set a size with its unit, such as 10Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// storageClassName of the volume. Default: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	StorageClassName *string `json:"storageClassName,omitempty"`

	// accessMode of the claim: ReadWriteOnce, of one node at a time, or ReadWriteMany, of several, as several workers need
	// it. A claim that exists keeps its own. Default: ReadWriteOnce; ReadWriteMany where the run has several workers.
	// +optional
	AccessMode ClaimAccessMode `json:"accessMode,omitempty"`

	// retention of the claim: Retain keeps the claim when the run is deleted, Delete deletes it with the run.
	// Default: Retain.
	// +optional
	Retention ClaimRetention `json:"retention,omitempty"`
}

// RestartPolicy limits how often a failed stage is tried again. Disruptions (eviction, preemption,
// drain, suspension) are not counted.
type RestartPolicy struct {
	// maxRestarts of the run's stages, all together. Unit: restarts. Default: 3, this project's choice.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	MaxRestarts *int32 `json:"maxRestarts,omitempty"`

	// backoffSeconds before a stage's first restart; each further one waits twice as long, at most 300 seconds, or
	// backoffSeconds where that is more. Restarts that are not counted do not wait. Unit: seconds. Default: 10, as Kubernetes' Jobs.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	BackoffSeconds *int32 `json:"backoffSeconds,omitempty"`
}

// PodTemplate changes the trainer's pods.
//
// +kubebuilder:validation:XValidation:rule="!has(self.labels) || self.labels.all(k, !k.startsWith('training.simclr.dev/'))",message="template.labels: keys of training.simclr.dev/ are the operator's; remove them"
// +kubebuilder:validation:XValidation:rule="!has(self.annotations) || self.annotations.all(k, !k.startsWith('training.simclr.dev/'))",message="template.annotations: keys of training.simclr.dev/ are the operator's; remove them"
// +kubebuilder:validation:XValidation:rule="!has(self.env) || self.env.all(e, !e.name.startsWith('SIMCLR_') || e.name == 'SIMCLR_DATASET_MIRROR')",message="template.env: SIMCLR_… is the trainer contract's; remove it (SIMCLR_DATASET_MIRROR may be set)"
type PodTemplate struct {
	// image of the trainer, any that keeps the trainer contract. Default: the operator's for the
	// accelerator.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image,omitempty"`

	// imagePullSecrets for the image. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	ImagePullSecrets []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// labels added to the pods. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]string `json:"labels,omitempty"`

	// annotations added to the pods. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]string `json:"annotations,omitempty"`

	// env adds variables to the trainer's container. Default: none.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Env []corev1.EnvVar `json:"env,omitempty"`

	// nodeSelector that nodes must match, besides the accelerator's. Default: none.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// affinity of the pods. Default: none.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// tolerations besides the accelerator's. Default: none.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// priorityClassName of the pods. Default: the cluster's default class.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// serviceAccountName of the pods. No token is mounted. Default: default.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// resources of the trainer's container. The CPU limit is the number of threads. Default: requests
	// of 1 CPU and 2Gi and a limit of 2 CPUs for CPU training; 2 CPUs, 8Gi and 4 CPUs beside a GPU or TPU.
	// +optional
	Resources *corev1.ResourceRequirements `json:"resources,omitempty"`
}
