package controllers

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// What nodes call their accelerators: the NVIDIA device plugin and GPU feature discovery, GKE's labels,
// and GKE's TPU device plugin.
const (
	resourceNvidia = "nvidia.com/gpu"
	resourceTPU    = "google.com/tpu"

	labelNvidiaProduct  = "nvidia.com/gpu.product"
	labelGKEAccelerator = "cloud.google.com/gke-accelerator"
	labelGKETPU         = "cloud.google.com/gke-tpu-accelerator"
	labelGKETopology    = "cloud.google.com/gke-tpu-topology"

	gkeProductPrefix = "nvidia-" // of the values of labelGKEAccelerator
)

// tpuKind is how GKE offers a TPU generation.
type tpuKind struct {
	device string // value of labelGKETPU for slices of one host
	slice  string // and of several
}

// https://cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus
var tpuKinds = map[string]tpuKind{
	"v3":  {"tpu-v3-device", "tpu-v3-slice"},
	"v4":  {"tpu-v4-podslice", "tpu-v4-podslice"},
	"v5e": {"tpu-v5-lite-podslice", "tpu-v5-lite-podslice"},
	"v5p": {"tpu-v5p-slice", "tpu-v5p-slice"},
	"v6e": {"tpu-v6e-slice", "tpu-v6e-slice"},
}

// placement is what an accelerator asks of the nodes.
type placement struct {
	devices      corev1.ResourceList // requests and limits, beside the template's
	nodeSelector map[string]string
	tolerations  []corev1.Toleration
	perHost      int32 // devices of a pod; 0 for CPU
	hosts        int32
}

// place finds the nodes of an accelerator.
func place(spec v1alpha1.AcceleratorSpec) (placement, error) {
	switch spec.Type {
	case v1alpha1.NvidiaGPU:
		return placeNvidia(spec), nil
	case v1alpha1.TPU:
		return placeTPU(spec)
	case v1alpha1.CPU:
	}
	return placement{hosts: 1}, nil // any node
}

func placeNvidia(spec v1alpha1.AcceleratorSpec) placement {
	p := devicePlacement(spec, resourceNvidia, *spec.DevicesPerWorker)
	switch {
	case spec.Product == "":
	case strings.HasPrefix(spec.Product, gkeProductPrefix):
		p.nodeSelector = map[string]string{labelGKEAccelerator: spec.Product}
	default:
		p.nodeSelector = map[string]string{labelNvidiaProduct: spec.Product}
	}
	return p
}

func placeTPU(spec v1alpha1.AcceleratorSpec) (placement, error) {
	kind, known := tpuKinds[spec.Generation]
	if !known {
		return placement{}, fmt.Errorf("accelerator.generation %q is unknown: name one of v3, v4, v5e, v5p, v6e", spec.Generation)
	}
	chips, err := plan.TPUChips(spec.Topology)
	if err != nil {
		return placement{}, err
	}
	perHost, label := plan.TPUHostChips(spec.Generation, chips), kind.slice
	if perHost == chips {
		label = kind.device
	}
	if spec.DevicesPerWorker != nil {
		perHost = *spec.DevicesPerWorker
	}
	if chips%perHost != 0 {
		return placement{}, fmt.Errorf("accelerator.topology %s has %d chips, which accelerator.devicesPerWorker %d does not divide", spec.Topology, chips, perHost)
	}
	p := devicePlacement(spec, resourceTPU, perHost)
	p.hosts = chips / perHost
	p.nodeSelector = map[string]string{labelGKETPU: label, labelGKETopology: spec.Topology}
	return p, nil
}

func devicePlacement(spec v1alpha1.AcceleratorSpec, name string, count int32) placement {
	taint := name
	if spec.ResourceName != "" {
		name = spec.ResourceName
	}
	tolerations := spec.Tolerations
	if len(tolerations) == 0 {
		tolerations = []corev1.Toleration{{
			Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule,
		}}
	}
	return placement{
		devices: corev1.ResourceList{
			corev1.ResourceName(name): *resource.NewQuantity(int64(count), resource.DecimalSI),
		},
		tolerations: tolerations,
		perHost:     count,
		hosts:       1,
	}
}
