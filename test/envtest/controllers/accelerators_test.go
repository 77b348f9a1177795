package controllers_test

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// What several pods with GPUs have besides keeps the restricted standard, which the API server enforces here, and is made once.
func TestPodsOfSeveralWorkersWithGPUs(t *testing.T) {
	c := newCluster(t)
	w := wrap.MakeRun(c.namespace, "gpus").Workers(2).
		Accelerator(v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: new(int32(2))})
	w.Spec.Pretraining.BatchNormStatistics = v1alpha1.BatchNormWorker
	run := c.create(w)
	c.set(run, 1)
	var policy networkingv1.NetworkPolicy
	c.must(api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: controllers.NetworkPolicyName("gpus")}, &policy))
	if rules := policy.Spec.Ingress; len(rules) != 2 || len(rules[0].Ports) != 0 || len(rules[0].From) != 1 || len(rules[1].Ports) != 1 {
		t.Errorf("ingress %+v, want every port from the run's pods, and one from others", rules)
	}
	g := c.group(run, 1)
	for rank, pod := range g.pods {
		shared := false
		for _, m := range pod.Spec.Containers[0].VolumeMounts {
			shared = shared || m.MountPath == "/dev/shm"
		}
		if !shared {
			t.Errorf("rank %d has no shared memory: %+v", rank, pod.Spec.Containers[0].VolumeMounts)
		}
	}
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	var again networkingv1.NetworkPolicy
	c.must(api.Get(t.Context(), client.ObjectKeyFromObject(&policy), &again))
	if again.ResourceVersion != policy.ResourceVersion {
		t.Error("it was written again: what the API server defaults differs from what is applied")
	}
}
