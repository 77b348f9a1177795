package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// group is an attempt of several workers.
type group struct {
	set  *jobset.JobSet
	job  *batchv1.Job
	pods []*corev1.Pod // by rank
}

// set waits for an attempt's JobSet.
func (c *cluster) set(run *v1alpha1.SimCLRRun, attempt int32) *jobset.JobSet {
	c.Helper()
	var set jobset.JobSet
	key := client.ObjectKey{Namespace: c.namespace, Name: controllers.JobName(run.Name, "pretrain", attempt)}
	c.eventually("JobSet "+key.Name, func() string {
		if err := api.Get(c.Context(), key, &set); err != nil {
			return err.Error() + fmt.Sprintf(" %+v", c.get(run).Status.Conditions)
		}
		return ""
	})
	return &set
}

// group makes what JobSet's and the Job's controllers and the kubelet make of a JobSet: workers that run.
func (c *cluster) group(run *v1alpha1.SimCLRRun, attempt int32) *group {
	c.Helper()
	g := &group{set: c.set(run, attempt)}
	g.job = wrap.JobOfSet(g.set)
	g.job.UID = ""
	c.must(api.Create(c.Context(), g.job))
	for rank := range int(*g.job.Spec.Completions) {
		g.pods = append(g.pods, c.worker(g, rank, func(w *wrap.PodWrapper) { w.Running("") }))
	}
	return g
}

func (c *cluster) worker(g *group, rank int, change func(*wrap.PodWrapper)) *corev1.Pod {
	c.Helper()
	name := fmt.Sprintf("%s-%d-%05d", g.job.Name, rank, time.Now().UnixNano()%1e5)
	return c.make(wrap.MakePod(g.job, name, fmt.Sprintf("node-%d", rank)).Rank(rank, g.set.UID), change)
}

// groupFails ends every worker with its code, by rank, then the Job and the JobSet.
func (c *cluster) groupFails(g *group, codes ...int32) {
	c.Helper()
	for rank, code := range codes {
		c.exits(g.pods[rank], code, wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: code, CheckpointStep: 5}))
	}
	c.ends(g.job, batchv1.JobFailed)
	c.setEnds(g.set, jobset.JobSetFailed)
}

func (c *cluster) setEnds(set *jobset.JobSet, kind jobset.JobSetConditionType) {
	c.Helper()
	fresh := &jobset.JobSet{}
	c.must(api.Get(c.Context(), client.ObjectKeyFromObject(set), fresh))
	meta.SetStatusCondition(&fresh.Status.Conditions, metav1.Condition{Type: string(kind), Status: metav1.ConditionTrue, Reason: "Test"})
	c.must(api.Status().Update(c.Context(), fresh))
}

func (c *cluster) groupSucceeds(g *group) {
	c.Helper()
	m := pretrainResult
	m.Stage = "pretrain"
	c.exits(g.pods[0], 0, wrap.Message(m))
	for _, pod := range g.pods[1:] {
		c.exits(pod, 0, wrap.Message(contract.TerminationMessage{Stage: "pretrain"}))
	}
	c.ends(g.job, batchv1.JobComplete)
	c.setEnds(g.set, jobset.JobSetCompleted)
}

func TestSeveralWorkersPretrainAndOneEvaluates(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "group").Workers(2).LinearEvaluation())
	g := c.group(run, 1)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training", "2 workers", "node-0, node-1")
	c.condition(run, v1alpha1.ConditionResourcesFit, metav1.ConditionTrue, "Scheduled", "node-0", "node-1")
	if status := c.get(run).Status; status.Workers != 2 || status.Stages[0].Workload != g.set.Name {
		t.Errorf("status.workers %d, workload %s", status.Workers, status.Stages[0].Workload)
	}
	var claim corev1.PersistentVolumeClaim
	c.must(api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: "group-output"}, &claim))
	if modes := claim.Spec.AccessModes; len(modes) != 1 || modes[0] != corev1.ReadWriteMany {
		t.Errorf("access modes %v of the claim of several workers", modes)
	}
	c.groupSucceeds(g)
	c.succeeds(c.job(run, "linear-eval", 1), "linear-eval", linearResult)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	if status := c.get(run).Status; status.Results.KNNTop1 != "40.10" || status.Restarts != 0 {
		t.Errorf("results %+v, %d restarts: rank 0's message has the results", status.Results, status.Restarts)
	}
}

func TestTheFirstCauseIsCharged(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "cause").Workers(2))
	g := c.group(run, 1)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	c.groupFails(g, contract.ExitPeerLost, 137)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "BackingOff")
	f := c.get(run).Status.Stages[0].LastFailure
	if f == nil || f.Charge != "Charged" || f.Rank == nil || *f.Rank != 1 || f.Pod != g.pods[1].Name || f.Node != "node-1" || *f.ExitCode != 137 {
		t.Fatalf("last failure %+v, want rank 1's, charged", f)
	}
	c.must(api.Delete(t.Context(), g.pods[1])) // which did not end it
	c.pass(run, controllersBackoff)
	again := c.group(run, 2)
	if again.set.Annotations["training.simclr.dev/charged-restarts"] != "1" {
		t.Errorf("annotations %v", again.set.Annotations)
	}
	c.groupSucceeds(again)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	c.eventually("deletion of the first attempt", func() string {
		var old jobset.JobSet
		err := api.Get(t.Context(), client.ObjectKeyFromObject(g.set), &old)
		if err == nil && old.DeletionTimestamp == nil {
			return "it is there"
		}
		return ""
	})
}

func TestADrainedWorkerIsNotCharged(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "drain").Workers(2))
	g := c.group(run, 1)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	w := &wrap.PodWrapper{Pod: *g.pods[1]}
	w.Condition(corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "drained")
	w.Status.Conditions[0].LastTransitionTime = metav1.Now()
	c.must(api.Status().Update(t.Context(), &w.Pod))
	g.pods[1] = &w.Pod
	c.exits(g.pods[1], contract.ExitTerminate, "")
	c.ends(g.job, batchv1.JobFailed)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Stopping")
	var next jobset.JobSet
	second := client.ObjectKey{Namespace: c.namespace, Name: "drain-pretrain-2"}
	time.Sleep(500 * time.Millisecond)
	if err := api.Get(t.Context(), second, &next); !apierrors.IsNotFound(err) {
		t.Fatalf("the next attempt is there (%v) while rank 0 of this one still writes", err)
	}
	c.exits(g.pods[0], contract.ExitPeerLost, wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: contract.ExitPeerLost}))
	c.set(run, 2)
	c.eventually("the eviction, uncharged", func() string {
		if f := c.get(run).Status.Stages[0].LastFailure; f == nil || f.Charge != "Uncharged" || f.Reason != "EvictionByEvictionAPI" || *f.Rank != 1 {
			return fmt.Sprintf("last failure %+v", f)
		}
		return ""
	})
}

func TestAGroupWhoseImageHasNoTrainerWaitsForAPerson(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "blocked").Workers(2))
	g := c.group(run, 1)
	for _, pod := range g.pods {
		w := &wrap.PodWrapper{Pod: *pod}
		w.Exited(128, "exec: simclr-trainer: not found")
		w.Status.ContainerStatuses[0].State.Terminated.Reason = "StartError"
		c.must(api.Status().Update(t.Context(), &w.Pod))
	}
	c.ends(g.job, batchv1.JobFailed)
	for range 2 { // what was noted of it changes nothing
		c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ContainerConfigError", "simclr-trainer: not found")
		c.pass(run, controllersBackoff)
		time.Sleep(500 * time.Millisecond)
	}
	var next jobset.JobSet
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: "blocked-pretrain-2"}, &next); !apierrors.IsNotFound(err) {
		t.Errorf("another attempt was made (%v): it would end the same way", err)
	}
}

func TestAllRanksAreLookedAt(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "ranks").Workers(2))
	g := &group{set: c.set(run, 1)}
	g.job = wrap.JobOfSet(g.set)
	g.job.UID = ""
	c.must(api.Create(t.Context(), g.job))
	c.worker(g, 0, func(w *wrap.PodWrapper) { w.Running("") })
	c.worker(g, 1, func(w *wrap.PodWrapper) {
		w.Spec.NodeName = ""
		w.Condition(corev1.PodScheduled, corev1.ConditionFalse, corev1.PodReasonUnschedulable, "0/1 nodes are available")
	})
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Unschedulable", "rank 1 of 2", "0/1 nodes are available")
}

func TestWorkersChangeWhileSuspended(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "fewer").Workers(2))
	g := c.group(run, 1)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	c.edit(run, suspended(true))
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionFalse, "Suspending")
	c.setIsCollected(g)
	c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
	c.edit(run, func(r *v1alpha1.SimCLRRun) { r.Spec.Workers = new(int32(1)) })
	c.edit(run, suspended(false))
	again := c.job(run, "pretrain", 2)
	for _, e := range again.Spec.Template.Spec.Containers[0].Env {
		if e.Name == contract.EnvWorkers {
			t.Error("one worker is told that it is one of several")
		}
	}
	c.succeeds(again, "pretrain", pretrainResult)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
}

// setIsCollected lets a JobSet that is deleted in the foreground go, with its pods first.
func (c *cluster) setIsCollected(g *group) {
	c.Helper()
	c.eventually("deletion of "+g.set.Name, func() string {
		c.must(api.Get(c.Context(), client.ObjectKeyFromObject(g.set), g.set))
		if g.set.DeletionTimestamp == nil || !slices.Contains(g.set.Finalizers, metav1.FinalizerDeleteDependents) {
			return "not deleted in the foreground"
		}
		return ""
	})
	c.must(api.DeleteAllOf(c.Context(), &corev1.Pod{}, client.InNamespace(c.namespace), client.GracePeriodSeconds(0)))
	c.gone(g.job)
	before := g.set.DeepCopy()
	g.set.Finalizers = nil
	c.must(api.Patch(context.WithoutCancel(c.Context()), g.set, client.MergeFrom(before)))
}

func TestTheKeyOfARun(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "secret").Workers(2))
	c.set(run, 1)
	var key corev1.Secret
	c.must(api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: controllers.KeyName("secret")}, &key))
	if text := string(key.Data["key"]); len(text) != 64 || strings.Trim(text, "0123456789abcdef") != "" {
		t.Errorf("the key has %d characters, want 64 hexadecimal ones", len(text))
	}
	if key.Immutable == nil || !*key.Immutable || !metav1.IsControlledBy(&key, run) {
		t.Errorf("immutable %v, owners %+v", key.Immutable, key.OwnerReferences)
	}
	other := c.create(wrap.MakeRun(c.namespace, "other").Workers(2))
	c.set(other, 1)
	var another corev1.Secret
	c.must(api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: controllers.KeyName("other")}, &another))
	if string(another.Data["key"]) == string(key.Data["key"]) {
		t.Error("two runs have the same key")
	}
}

func TestSeveralWorkersNeedASharedClaim(t *testing.T) {
	c := newCluster(t)
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "mine"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		},
	}
	c.must(api.Create(t.Context(), claim))
	w := wrap.MakeRun(c.namespace, "shared").Workers(2)
	w.Spec.Output.ExistingClaim = "mine"
	run := c.create(w)
	c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionTrue, "ClaimNotShared", "output.existingClaim", "ReadWriteMany", "mine")
}

func TestNetworkPolicyOfARun(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "net"))
	c.job(run, "pretrain", 1)
	var policy networkingv1.NetworkPolicy
	c.must(api.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: controllers.NetworkPolicyName("net")}, &policy))
	if len(policy.Spec.Ingress) != 2 || !metav1.IsControlledBy(&policy, run) {
		t.Errorf("ingress %+v, owners %+v", policy.Spec.Ingress, policy.OwnerReferences)
	}
	c.pass(run, time.Second)
	c.runs(c.job(run, "pretrain", 1))
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	var again networkingv1.NetworkPolicy
	c.must(api.Get(t.Context(), client.ObjectKeyFromObject(&policy), &again))
	if again.ResourceVersion != policy.ResourceVersion {
		t.Error("it was written again: what the API server defaults differs from what is applied")
	}
}
