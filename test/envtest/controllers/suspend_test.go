package controllers_test

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestSuspendInAnyStage(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "paused").LinearEvaluation().Finetuning("one-percent", "0.01"))
	for _, stage := range []struct {
		name   string
		result contract.TerminationMessage
	}{{"pretrain", pretrainResult}, {"linear-eval", linearResult}, {"one-percent", finetuneResult}} {
		job := c.job(run, stage.name, 1)
		c.runs(job)
		c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training", stage.name)
		c.edit(run, suspended(true))
		c.collects(job)
		c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
		c.edit(run, suspended(false))
		c.succeeds(c.job(run, stage.name, 2), stage.name, stage.result)
	}
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	if status := c.get(run).Status; status.Restarts != 0 || status.Results.LinearTop1 != "45.40" {
		t.Errorf("restarts %d, results %+v", status.Restarts, status.Results)
	}
}

func TestSuspendedBeforeTheFirstStage(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "later").Suspended(true))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	if status := c.get(run).Status; len(c.jobs(run)) != 0 || status.ConfigHash != "" {
		t.Errorf("Jobs %v, status %+v", c.jobs(run), status)
	}
	c.edit(run, suspended(false))
	c.job(run, "pretrain", 1)
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionFalse, "NotSuspended")
}

// A suspension neither forgives a failure nor counts.
func TestSuspendWhileBackingOff(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "weary").MaxRestarts(1))
	job := c.job(run, "pretrain", 1)
	c.fails(job, "pretrain", contract.TerminationMessage{ExitCode: contract.ExitStorage, Message: "disk"})
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
	c.edit(run, suspended(true))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	c.pass(run, controllersBackoff)
	time.Sleep(300 * time.Millisecond)
	if names := c.jobs(run); len(names) != 1 {
		t.Fatalf("Jobs %v while suspended", names)
	}
	c.edit(run, suspended(false))
	c.runs(c.job(run, "pretrain", 2))
	c.eventually("charge", func() string {
		if n := c.get(run).Status.Restarts; n != 1 {
			return fmt.Sprint(n)
		}
		return ""
	})
}

func TestDiverged(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "wild"))
	c.fails(c.job(run, "pretrain", 1), "pretrain", contract.TerminationMessage{
		ExitCode: contract.ExitDiverged, Reason: "Diverged", Message: "the loss is NaN at step 7",
	})
	c.condition(run, v1alpha1.ConditionFailed, metav1.ConditionTrue, "Diverged", "NaN at step 7")
}

// From a pod's end to the Job's, the run is stopping.
func TestStopping(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "ending"))
	job := c.job(run, "pretrain", 1)
	c.exits(c.runs(job), contract.ExitStorage, "")
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Stopping")
	c.ends(job, batchv1.JobFailed)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
}
