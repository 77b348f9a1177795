package controllers_test

import (
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// controllersBackoff is longer than any back-off of the operator.
const controllersBackoff = 10 * time.Minute

func TestUserErrorFailsAtOnce(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "wrong"))
	c.fails(c.job(run, "pretrain", 1), "pretrain", contract.TerminationMessage{
		ExitCode: contract.ExitUserError, Reason: "NoEngine", Message: "no engine for TPU",
	})
	c.condition(run, v1alpha1.ConditionFailed, metav1.ConditionTrue, "UserError", "pretrain", "NoEngine", "no engine for TPU")
	status := c.get(run).Status
	if status.Stage != "Failed" || status.Restarts != 0 || status.Stages[0].State != v1alpha1.StageFailed {
		t.Errorf("status %+v", status)
	}
	if n := len(c.jobs(run)); n != 1 {
		t.Errorf("%d Jobs, want 1", n)
	}
}

func TestRestartsAreChargedUntilNoneIsLeft(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "unlucky").MaxRestarts(1))
	c.fails(c.job(run, "pretrain", 1), "pretrain", contract.TerminationMessage{
		ExitCode: contract.ExitDevice, Reason: "DeviceLost", Message: "no device",
	})
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
	c.pass(run, controllersBackoff)
	job := c.job(run, "pretrain", 2)
	terms := job.Spec.Template.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 || terms[0].MatchFields[0].Values[0] != "node-1" {
		t.Errorf("the node whose device failed is not avoided: %+v", terms)
	}
	c.fails(job, "pretrain", contract.TerminationMessage{ExitCode: contract.ExitStalled, Reason: "Stalled", Message: "no step"})
	c.condition(run, v1alpha1.ConditionFailed, metav1.ConditionTrue, "RestartsExhausted", "maxRestarts of 1", "no step")
	status := c.get(run).Status
	if status.Restarts != 1 || status.Stages[0].LastFailure.Charge != "Charged" {
		t.Errorf("restarts %d, last failure %+v", status.Restarts, status.Stages[0].LastFailure)
	}
}

// The kernel's kill says which field to raise, each time, and at the end how often it was tried.
func TestOutOfMemoryUntilNoRestartIsLeft(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "hungry").MaxRestarts(2))
	for attempt := int32(1); attempt <= 3; attempt++ {
		job := c.job(run, "pretrain", attempt)
		c.pod(job, func(w *wrap.PodWrapper) {
			w.Exited(137, "")
			w.Status.ContainerStatuses[0].State.Terminated.Reason = "OOMKilled"
		})
		c.ends(job, batchv1.JobFailed)
		if attempt == 1 { // from then on the operator's clock is ahead of the pods', so that no delay is left
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
			c.pass(run, controllersBackoff)
		}
	}
	c.condition(run, v1alpha1.ConditionFailed, metav1.ConditionTrue, "RestartsExhausted", "maxRestarts of 2", "OOMKilled", "raise template.resources.limits.memory", "lower batchSize")
}

func TestDisruptionIsNotChargedAndReplacedAtOnce(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "moved").MaxRestarts(0))
	for attempt := int32(1); attempt <= 2; attempt++ {
		job := c.job(run, "pretrain", attempt)
		pod := c.runs(job)
		c.exits(pod, contract.ExitTerminate, wrap.Message(contract.TerminationMessage{
			Stage: "pretrain", ExitCode: contract.ExitTerminate, Reason: "Terminated", CheckpointStep: int64(attempt),
		}))
		c.collects(job) // the Job itself would make the pod again, but later and later
	}
	c.runs(c.job(run, "pretrain", 3))
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	status := c.get(run).Status
	if status.Restarts != 0 || status.Stages[0].LastFailure.Charge != "Uncharged" || status.Stages[0].Checkpoint.Step != 2 {
		t.Errorf("restarts %d, stage %+v", status.Restarts, status.Stages[0])
	}
}

func TestThirdDisruptionWithoutNewerCheckpointIsCharged(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "evicted").MaxRestarts(0))
	for attempt := int32(1); attempt <= 3; attempt++ {
		job := c.job(run, "pretrain", attempt)
		c.pod(job, func(w *wrap.PodWrapper) {
			w.Exited(137, "").Condition(corev1.DisruptionTarget, corev1.ConditionTrue, "TerminationByKubelet", "node was low on memory")
		})
		if attempt < 3 {
			c.collects(job)
		}
	}
	c.condition(run, v1alpha1.ConditionFailed, metav1.ConditionTrue, "RestartsExhausted", "low on memory")
}

func TestLostMessageRunsTheStageAgain(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "lost"))
	job := c.job(run, "pretrain", 1)
	c.exits(c.runs(job), 0, "")
	c.ends(job, batchv1.JobComplete)
	c.succeeds(c.job(run, "pretrain", 2), "pretrain", pretrainResult)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	if n := c.get(run).Status.Restarts; n != 0 {
		t.Errorf("%d restarts charged", n)
	}
}

func TestPodsThatNeverStart(t *testing.T) {
	for name, tc := range map[string]struct {
		pod          func(*wrap.PodWrapper)
		wantReason   string
		wantWords    string
		wantUnfit    bool
		wantStalling bool
	}{
		"image": {
			pod:        func(w *wrap.PodWrapper) { w.Waiting("ImagePullBackOff", "Back-off pulling image registry.example/x") },
			wantReason: "ImagePullBackOff", wantWords: "Back-off pulling image", wantStalling: true,
		},
		"secret": {
			pod:        func(w *wrap.PodWrapper) { w.Waiting("CreateContainerConfigError", `secret "s" not found`) },
			wantReason: "ContainerConfigError", wantWords: "not found", wantStalling: true,
		},
		"no node": {
			pod: func(w *wrap.PodWrapper) {
				w.Spec.NodeName = ""
				w.Condition(corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")
			},
			wantReason: "Unschedulable", wantWords: "Insufficient nvidia.com/gpu", wantUnfit: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			run := c.create(wrap.MakeRun(c.namespace, "stuck"))
			c.pod(c.job(run, "pretrain", 1), tc.pod)
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, tc.wantReason, tc.wantWords)
			if tc.wantStalling {
				c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionTrue, tc.wantReason)
			}
			if tc.wantUnfit {
				c.condition(run, v1alpha1.ConditionResourcesFit, metav1.ConditionFalse, "Unschedulable")
			}
			if n := c.get(run).Status.Restarts; n != 0 {
				t.Errorf("%d restarts charged", n)
			}
		})
	}
}

func TestVolumeThatCannotBeMounted(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "nomount"))
	pod := c.pod(c.job(run, "pretrain", 1), func(w *wrap.PodWrapper) { w.Waiting("ContainerCreating", "") })
	c.must(api.Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: c.namespace, Name: "mount"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: c.namespace, Name: pod.Name, UID: pod.UID},
		Reason:         "FailedMount", Message: "MountVolume.SetUp failed", LastTimestamp: metav1.Now(),
	}))
	c.pass(run, 20*time.Second)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "VolumeNotReady", "MountVolume.SetUp failed")
}

func TestConfigMapIsMadeAgain(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "config"))
	c.job(run, "pretrain", 1)
	c.checkConfig(run)
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: c.namespace, Name: controllers.ConfigMapName(run.Name, c.get(run).Status.ConfigHash),
	}}
	c.must(api.Delete(t.Context(), stored))
	c.eventually("ConfigMap", func() string {
		if err := api.Get(c.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
			return err.Error()
		}
		return ""
	})
	c.checkConfig(run)
}

func TestConfigLost(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "lostconfig"))
	job := c.job(run, "pretrain", 1)
	c.checkConfig(run)
	c.eventually("another hash", func() string {
		fresh := c.get(run)
		fresh.Status.ConfigHash = fmt.Sprintf("%064d", 0)
		if err := api.Status().Update(t.Context(), fresh); err != nil {
			return err.Error()
		}
		return ""
	})
	c.condition(run, v1alpha1.ConditionFailed, metav1.ConditionTrue, "ConfigLost")
	c.collects(job) // nothing of a failed run goes on
}

// Deleting the failed pod does not buy the run a restart, nor skip its back-off.
func TestPodDeletedWhileBackingOff(t *testing.T) {
	for name, alsoJob := range map[string]bool{"the pod": false, "the Job": true} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			run := c.create(wrap.MakeRun(c.namespace, "sly"))
			job := c.job(run, "pretrain", 1)
			pod := c.runs(job)
			c.exits(pod, contract.ExitStorage, wrap.Message(contract.TerminationMessage{
				Stage: "pretrain", ExitCode: contract.ExitStorage, Message: "disk",
			}))
			c.ends(job, batchv1.JobFailed)
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
			c.must(api.Delete(t.Context(), pod, client.GracePeriodSeconds(0)))
			if alsoJob {
				c.gone(job)
			}
			c.pass(run, 0)
			time.Sleep(500 * time.Millisecond)
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
			c.pass(run, controllersBackoff)
			c.job(run, "pretrain", 2)
			c.eventually("charge", func() string {
				st := c.get(run).Status
				if st.Restarts != 1 || st.Stages[0].LastFailure.Charge != "Charged" || st.Stages[0].LastFailure.Message != "disk" {
					return fmt.Sprintf("restarts %d, last failure %+v", st.Restarts, st.Stages[0].LastFailure)
				}
				return ""
			})
		})
	}
}

// kubectl delete job takes the Job at once; its pod has the grace period to save.
func TestJobDeletedInTheBackground(t *testing.T) {
	for name, suspend := range map[string]bool{"restart": false, "suspended": true} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			run := c.create(wrap.MakeRun(c.namespace, "swept"))
			job := c.job(run, "pretrain", 1)
			pod := c.runs(job)
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
			c.gone(job)
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Stopping")
			if suspend {
				c.edit(run, suspended(true))
				c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionFalse, "Suspending")
			}
			time.Sleep(500 * time.Millisecond)
			if names := c.jobs(run); len(names) != 0 {
				t.Fatalf("Jobs %v while a pod may still write", names)
			}
			c.must(api.Delete(t.Context(), pod, client.GracePeriodSeconds(0)))
			if suspend {
				c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
				return
			}
			c.job(run, "pretrain", 2)
		})
	}
}

// An image without simclr-trainer: the kubelet's container never ran.
func TestTrainerThatCannotBeStarted(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "bare").MaxRestarts(0))
	job := c.job(run, "pretrain", 1)
	c.pod(job, func(w *wrap.PodWrapper) {
		w.Exited(128, `exec: "simclr-trainer": executable file not found`)
		w.Status.ContainerStatuses[0].State.Terminated.Reason = "StartError"
	})
	c.ends(job, batchv1.JobFailed)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "ContainerConfigError", "simclr-trainer", "correct spec.template")
	c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ContainerConfigError")
	c.edit(run, suspended(true))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	c.edit(run, func(r *v1alpha1.SimCLRRun) { r.Spec.Template.Image = "registry.example/trainer:2" })
	c.edit(run, suspended(false))
	again := c.job(run, "pretrain", 2)
	if image := again.Spec.Template.Spec.Containers[0].Image; image != "registry.example/trainer:2" {
		t.Errorf("image %s", image)
	}
	c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionFalse, "AsExpected")
	if n := c.get(run).Status.Restarts; n != 0 {
		t.Errorf("%d restarts charged", n)
	}
}
