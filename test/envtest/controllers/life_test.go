package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

var (
	sha            = strings.Repeat("ab", 32)
	pretrainResult = contract.TerminationMessage{
		Results:       &v1alpha1.Results{KNNTop1: "40.10", PretrainingLoss: "5.25", SkippedImages: 1},
		EncoderSHA256: sha, Step: 100, CheckpointStep: 100,
	}
	linearResult   = contract.TerminationMessage{Results: &v1alpha1.Results{LinearTop1: "45.40", LinearTop5: "90.00"}}
	finetuneResult = contract.TerminationMessage{Results: &v1alpha1.Results{
		Finetune: []v1alpha1.FinetuneResult{{Name: "one-percent", Top1: "30.00", Labels: 600}},
	}}
	wantResults = &v1alpha1.Results{
		KNNTop1: "40.10", PretrainingLoss: "5.25", LinearTop1: "45.40", LinearTop5: "90.00", SkippedImages: 1,
		Finetune: []v1alpha1.FinetuneResult{{Name: "one-percent", Top1: "30.00", Labels: 600}},
	}
)

func TestWholeLife(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "life").LinearEvaluation().Finetuning("one-percent", "0.01"))

	job := c.job(run, "pretrain", 1)
	c.checkConfig(run)
	pod := c.runs(job)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training", "pretrain", "node-1")
	c.condition(run, v1alpha1.ConditionResourcesFit, metav1.ConditionTrue, "Scheduled")
	m := pretrainResult
	m.Stage = "pretrain"
	c.exits(pod, 0, wrap.Message(m))
	c.ends(job, batchv1.JobComplete)
	c.succeeds(c.job(run, "linear-eval", 1), "linear-eval", linearResult)
	c.succeeds(c.job(run, "one-percent", 1), "one-percent", finetuneResult)

	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	status := c.get(run).Status
	if diff := cmp.Diff(wantResults, status.Results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	wantEncoder := &v1alpha1.EncoderStatus{URI: "pvc://life-output/" + string(run.UID) + "/encoder", SHA256: sha}
	if diff := cmp.Diff(wantEncoder, status.Encoder); diff != "" {
		t.Errorf("encoder (-want +got):\n%s", diff)
	}
	got := []string{status.Stage, status.Progress, status.Loss, status.Image, status.OutputClaim}
	if diff := cmp.Diff([]string{"Complete", "100%", "5.25", trainerImage, "life-output"}, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	for _, st := range status.Stages {
		if st.State != v1alpha1.StageComplete || st.Attempts != 1 || st.StartTime == nil || st.FinishTime == nil {
			t.Errorf("stage %+v", st)
		}
	}
}

// checkConfig reads the ConfigMap as the trainer does.
func (c *cluster) checkConfig(run *v1alpha1.SimCLRRun) {
	c.Helper()
	c.eventually("hash", func() string {
		if c.get(run).Status.ConfigHash == "" {
			return "none"
		}
		return ""
	})
	status := c.get(run).Status
	var stored corev1.ConfigMap
	key := client.ObjectKey{Namespace: c.namespace, Name: controllers.ConfigMapName(run.Name, status.ConfigHash)}
	c.must(api.Get(c.Context(), key, &stored))
	var fixed v1alpha1.SimCLRRun
	c.must(yaml.UnmarshalStrict([]byte(stored.Data["run.yaml"]), &fixed))
	if stored.Immutable == nil || !*stored.Immutable || !metav1.IsControlledBy(&stored, run) {
		c.Errorf("ConfigMap %+v is not immutable or not the run's", stored.ObjectMeta)
	}
	if fixed.UID != run.UID || fixed.Status.Image != trainerImage || fixed.Status.Threads != 2 ||
		fixed.Status.ContractVersion != contract.Version {
		c.Errorf("run.yaml: %s", stored.Data["run.yaml"])
	}
}

func TestSuspendAndResume(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "rest"))
	job := c.job(run, "pretrain", 1)
	c.runs(job)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")

	c.edit(run, suspended(true))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionFalse, "Suspending")
	c.collects(job)
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	if st := c.get(run).Status; st.Stage != "Suspended" || st.Stages[0].State != v1alpha1.StageSuspended {
		t.Errorf("stage %q, %+v", st.Stage, st.Stages)
	}

	before := c.get(run).Status.ConfigHash
	c.edit(run, func(r *v1alpha1.SimCLRRun) { r.Spec.Template.Image = "registry.example/trainer:2" })
	c.edit(run, suspended(false))
	again := c.job(run, "pretrain", 2)
	if image := again.Spec.Template.Spec.Containers[0].Image; image != "registry.example/trainer:2" {
		t.Errorf("image %s: the change made while suspended is not used", image)
	}
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionFalse, "NotSuspended")
	status := c.get(run).Status
	if status.ConfigHash == before || status.Restarts != 0 || status.Stages[0].UnchargedInRow != 0 {
		t.Errorf("hash before %s, status %+v", before, status)
	}
	c.succeeds(again, "pretrain", pretrainResult)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
}

func TestStatusWiped(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "wiped").LinearEvaluation())
	c.succeeds(c.job(run, "pretrain", 1), "pretrain", pretrainResult)
	first := c.job(run, "linear-eval", 1)
	c.fails(first, "linear-eval", contract.TerminationMessage{ExitCode: contract.ExitStorage, Message: "disk"})
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
	c.pass(run, controllersBackoff)
	second := c.job(run, "linear-eval", 2)
	c.runs(second)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	c.eventually("restarts", func() string {
		if n := c.get(run).Status.Restarts; n != 1 {
			return "not 1"
		}
		return ""
	})

	before := c.get(run)
	wiped := before.DeepCopy()
	wiped.Status = v1alpha1.SimCLRRunStatus{}
	c.must(api.Status().Update(t.Context(), wiped))
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	after := c.get(run)
	type kept struct {
		Hash, Image, Claim string
		Restarts           int32
		Results            *v1alpha1.Results
		Encoder            *v1alpha1.EncoderStatus
		Attempts           int32
	}
	of := func(s v1alpha1.SimCLRRunStatus) kept {
		return kept{s.ConfigHash, s.Image, s.OutputClaim, s.Restarts, s.Results, s.Encoder, s.Stages[1].Attempts}
	}
	if diff := cmp.Diff(of(before.Status), of(after.Status)); diff != "" {
		t.Errorf("what was read again (-want +got):\n%s", diff)
	}
	if n := len(c.jobs(run)); n != 3 {
		t.Errorf("%d Jobs: %v", n, c.jobs(run))
	}
}

// The Job that has the counters is gone; a first attempt again would be refused by what later ones wrote.
func TestStatusWipedWhileSuspended(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "blank").MaxRestarts(1))
	c.fails(c.job(run, "pretrain", 1), "pretrain", contract.TerminationMessage{ExitCode: contract.ExitStorage, Message: "disk"})
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
	c.pass(run, controllersBackoff)
	second := c.job(run, "pretrain", 2)
	c.runs(second)
	c.edit(run, suspended(true))
	c.collects(second)
	c.gone(c.job(run, "pretrain", 1))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	before := c.get(run)
	wiped := before.DeepCopy()
	wiped.Status = v1alpha1.SimCLRRunStatus{}
	c.must(api.Status().Update(t.Context(), wiped))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	c.edit(run, suspended(false))
	c.job(run, "pretrain", 3)
	c.eventually("counters", func() string {
		if st := c.get(run).Status; st.Restarts != 1 || st.ConfigHash != before.Status.ConfigHash {
			return fmt.Sprintf("restarts %d, hash %s", st.Restarts, st.ConfigHash)
		}
		return ""
	})
}
