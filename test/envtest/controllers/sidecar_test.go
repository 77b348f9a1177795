package controllers_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// A pod that a sidecar keeps alive ends with its trainer; the Job goes once the result is stored.
func TestSidecarsKeepNothingFromEnding(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "meshed").LinearEvaluation())
	exits := func(stage string, attempt int32, m contract.TerminationMessage) {
		job := c.job(run, stage, attempt)
		m.Stage = stage
		c.pod(job, func(w *wrap.PodWrapper) {
			sidecar := *w.Spec.Containers[0].DeepCopy()
			sidecar.Name, sidecar.VolumeMounts = "sidecar", nil
			w.Spec.Containers = append(w.Spec.Containers, sidecar)
			w.Exited(m.ExitCode, wrap.Message(m)).Sidecar()
		})
		c.collects(job)
	}
	exits("pretrain", 1, contract.TerminationMessage{ExitCode: contract.ExitStorage, Message: "disk"})
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
	c.pass(run, controllersBackoff)
	exits("pretrain", 2, pretrainResult)
	exits("linear-eval", 1, linearResult)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	status := c.get(run).Status
	if status.Restarts != 1 || status.Results.LinearTop1 != "45.40" || status.Results.KNNTop1 != "40.10" {
		t.Errorf("restarts %d, results %+v", status.Restarts, status.Results)
	}
}
