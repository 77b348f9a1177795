//go:build e2e

package e2e

import (
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// A run that has begun on CPUs is suspended, edited, and goes on through XLA in a pod that claims a device, on a node that
// says it has one; all stages end there. No device is here: the image has XLA's backend for CPUs.
func TestGoesOnWithAnAccelerator(t *testing.T) {
	s := start(t)
	s.Trains("pretrain", 10)
	s.Edit(scenario.Suspended(true))
	s.Condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", scenario.Patience)
	saved := s.Stage("pretrain").Checkpoint

	become(t, onlyNode(t), h200)
	s.Edit(func(r *v1alpha1.SimCLRRun) {
		r.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, Product: "NVIDIA-H200", DevicesPerWorker: new(int32(1))}
		r.Spec.Template.Image = "simclr.local/simclr-trainer-xla-cpu:dev"
		r.Spec.Template.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("1Gi")}}
	})
	s.Edit(scenario.Suspended(false))
	s.Eventually("a pod with a device", time.Minute, func() string {
		for _, pod := range s.Pods() {
			limit := pod.Spec.Containers[0].Resources.Limits[h200.resource]
			if limit.Value() == 1 && pod.Spec.NodeName != "" {
				return ""
			}
		}
		return "none"
	})
	s.Condition(v1alpha1.ConditionResourcesFit, metav1.ConditionTrue, "Scheduled", time.Minute)

	run := s.Completes()
	if from := s.Stage("pretrain").Checkpoint.ResumedFrom; saved == nil || from == nil || *from < saved.Step {
		t.Errorf("resumed from %v, saved %+v", from, saved)
	}
	if run.Status.Restarts != 0 || run.Status.Encoder == nil {
		t.Errorf("%d restarts, encoder %+v", run.Status.Restarts, run.Status.Encoder)
	}
	for name, accuracy := range map[string]string{"knnTop1": run.Status.Results.KNNTop1, "linearTop1": run.Status.Results.LinearTop1} {
		if percent, err := strconv.ParseFloat(accuracy, 64); err != nil || percent < 30 {
			t.Errorf("%s is %q, want 30 of 100 at least: chance is 10", name, accuracy)
		}
	}
	if n := len(run.Status.Results.Finetune); n != 1 {
		t.Errorf("%d results of finetuning, want 1", n)
	}
}
