//go:build e2e

package e2e

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// A kind of node is what the scheduler knows of one with accelerators: extended resources, labels and the taint.
type kind struct {
	resource corev1.ResourceName
	count    int64
	labels   map[string]string
}

var (
	h200 = kind{"nvidia.com/gpu", 8, map[string]string{"nvidia.com/gpu.product": "NVIDIA-H200"}}
	v6e  = kind{"google.com/tpu", 4, map[string]string{
		"cloud.google.com/gke-tpu-accelerator": "tpu-v6e-slice", "cloud.google.com/gke-tpu-topology": "2x2"}}
)

func (k kind) taint() corev1.Taint {
	return corev1.Taint{Key: string(k.resource), Value: "present", Effect: corev1.TaintEffectNoSchedule}
}

// The real scheduler and the real kubelet place a run on a node that says it has the accelerator, whose taint keeps
// others away. The trainer's image has no engine for it, and says so.
func TestPlacementOnTheNode(t *testing.T) {
	for name, tc := range map[string]struct {
		kind        kind
		accelerator v1alpha1.AcceleratorSpec
		devices     int64
	}{
		"NvidiaGPU": {h200, v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200", DevicesPerWorker: new(int32(2))}, 2},
		"TPU":       {v6e, v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v6e", Topology: "2x2"}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			node := onlyNode(t)
			small := func(r *v1alpha1.SimCLRRun) {
				r.Spec.Accelerator = tc.accelerator
				r.Spec.Template.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("1Gi")}}
			}
			s := start(t, scenario.PretrainOnly, small)
			s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Unschedulable", time.Minute, "nodes are available")
			s.Condition(v1alpha1.ConditionResourcesFit, metav1.ConditionFalse, "Unschedulable", time.Second)

			become(t, node, tc.kind)
			s.fails("UserError", "no engine for "+name)
			s.placed(node, tc.kind, tc.devices)

			other := start(t, scenario.PretrainOnly) // on CPUs, without the toleration
			other.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Unschedulable", time.Minute, "taint")
		})
	}
}

// Among several kinds of node the scheduler chooses the one that a run names. These nodes have no kubelet: where the
// pods go is decided, and they go no further.
func TestPlacementAmongNodes(t *testing.T) {
	a100 := kind{"nvidia.com/gpu", 8, map[string]string{"cloud.google.com/gke-accelerator": "nvidia-a100-80gb"}}
	v5e := kind{"google.com/tpu", 8, map[string]string{
		"cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice", "cloud.google.com/gke-tpu-topology": "2x4"}}
	for name, k := range map[string]kind{"h200": h200, "a100": a100, "v6e": v6e, "v5e": v5e} {
		createNode(t, name, k)
	}
	for want, accelerator := range map[string]v1alpha1.AcceleratorSpec{
		"h200": {Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200", DevicesPerWorker: new(int32(4))},
		"a100": {Type: v1alpha1.NvidiaGPU, Product: "nvidia-a100-80gb"},
		"v6e":  {Type: v1alpha1.TPU, Generation: "v6e", Topology: "2x2"},
		"v5e":  {Type: v1alpha1.TPU, Generation: "v5e", Topology: "2x4"},
	} {
		t.Run(want, func(t *testing.T) {
			s := start(t, scenario.PretrainOnly, func(r *v1alpha1.SimCLRRun) {
				r.Spec.Accelerator, r.Spec.BatchSize = accelerator, 128
				r.Spec.Output = v1alpha1.OutputSpec{ExistingClaim: "anywhere"}
			})
			s.createAnywhere("anywhere")
			s.Condition(v1alpha1.ConditionResourcesFit, metav1.ConditionTrue, "Scheduled", time.Minute, "node "+want)
		})
	}
}
