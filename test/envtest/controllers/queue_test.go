package controllers_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// queued makes a run of a queue.
func (c *cluster) queued(name string) *v1alpha1.SimCLRRun {
	c.Helper()
	run := wrap.MakeRun(c.namespace, name).MaxRestarts(0)
	run.Labels = map[string]string{controllers.LabelQueue: "training", controllers.LabelQueuePriority: "urgent", "team": "a"}
	return c.create(run)
}

// holds stops or starts a Job, as Kueue does, with the condition that the Job controller sets then.
func (c *cluster) holds(job *batchv1.Job, yes bool) {
	c.Helper()
	fresh := &batchv1.Job{}
	c.must(api.Get(c.Context(), client.ObjectKeyFromObject(job), fresh))
	before := fresh.DeepCopy()
	fresh.Spec.Suspend = &yes
	c.must(api.Patch(c.Context(), fresh, client.MergeFrom(before)))
	before = fresh.DeepCopy()
	status := corev1.ConditionFalse
	if yes {
		status = corev1.ConditionTrue
		fresh.Status.StartTime = nil
	} else {
		fresh.Status.StartTime = new(metav1.Now())
	}
	fresh.Status.Conditions = []batchv1.JobCondition{{
		Type: batchv1.JobSuspended, Status: status, Reason: "Test", LastProbeTime: metav1.Now(), LastTransitionTime: metav1.Now(),
	}}
	c.must(api.Status().Patch(c.Context(), fresh, client.MergeFrom(before)))
}

// removed is a pod that saved at SIGTERM and is gone from the API server, as of a suspended Job.
func (c *cluster) removed(pod *corev1.Pod, message string) {
	c.Helper()
	c.must(api.Delete(c.Context(), pod, client.GracePeriodSeconds(120)))
	c.exits(pod, contract.ExitTerminate, message)
	c.must(client.IgnoreNotFound(api.Delete(c.Context(), pod, client.GracePeriodSeconds(0))))
}

// Another hand starts, stops and starts the attempt; the operator follows, counts nothing and makes no other attempt.
func TestQueue(t *testing.T) {
	c := newCluster(t)
	run := c.queued("patient")
	job := c.job(run, "pretrain", 1)
	if job.Spec.Suspend == nil || !*job.Spec.Suspend || job.Labels[controllers.LabelQueue] != "training" ||
		job.Labels[controllers.LabelQueuePriority] != "urgent" || job.Labels["team"] != "" {
		t.Errorf("suspend %v, labels %v", job.Spec.Suspend, job.Labels)
	}
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", "attempt 1", "queue training")
	if st := c.get(run).Status.Stages[0]; st.State != v1alpha1.StagePending {
		t.Errorf("state %s", st.State)
	}
	for round := range int64(5) {
		c.holds(job, false)
		c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Starting")
		pod := c.runs(job)
		c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
		c.holds(job, true)
		c.removed(pod, wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: 143, Reason: "Terminated", CheckpointStep: round + 1}))
		c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", "queue training")
	}
	c.holds(job, false)
	c.exits(c.runs(job), 0, wrap.Message(contract.TerminationMessage{Stage: "pretrain", Results: pretrainResult.Results, EncoderSHA256: pretrainResult.EncoderSHA256}))
	c.ends(job, batchv1.JobComplete)
	c.condition(run, v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete")
	if st := c.get(run).Status.Stages[0]; st.Attempts != 1 || st.ChargedRestarts != 0 || st.UnchargedInRow != 0 || st.LastFailure != nil {
		t.Errorf("stage %+v", st)
	}
}

// The user's suspension deletes the attempt while it is queued and while it runs; what resumes is another, which queues.
func TestSuspendQueued(t *testing.T) {
	c := newCluster(t)
	run := c.queued("twice")
	for attempt := int32(1); attempt <= 4; attempt++ {
		job := c.job(run, "pretrain", attempt)
		c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", fmt.Sprintf("attempt %d", attempt))
		if attempt%2 == 0 {
			c.holds(job, false)
			c.runs(job)
			c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
		}
		c.edit(run, suspended(true))
		c.collects(job)
		c.condition(run, v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended")
		c.edit(run, suspended(false))
	}
	c.job(run, "pretrain", 5)
	if st := c.get(run).Status.Stages[0]; st.ChargedRestarts != 0 || st.UnchargedInRow != 0 || st.LastFailure != nil {
		t.Errorf("stage %+v", st)
	}
}

// Without a queue's label somebody has suspended the Job: the run says so, and goes on when the Job does.
func TestJobSuspendedByHand(t *testing.T) {
	c := newCluster(t)
	run := c.create(wrap.MakeRun(c.namespace, "held"))
	job := c.job(run, "pretrain", 1)
	pod := c.runs(job)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	c.holds(job, true)
	c.removed(pod, "")
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", "held-pretrain-1 is suspended", "spec.suspend")
	c.holds(job, false)
	c.runs(job)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionTrue, "Training")
	if st := c.get(run).Status.Stages[0]; st.Attempts != 1 {
		t.Errorf("stage %+v", st)
	}
}

// Kueue's words are the run's: read from its Workloads with the operator's own permissions, once Kueue is there.
func TestWordsOfKueue(t *testing.T) {
	c := newCluster(t)
	run := c.queued("curious")
	job := c.job(run, "pretrain", 1)
	c.condition(run, v1alpha1.ConditionStalled, metav1.ConditionTrue, "Queued", "Kueue is not installed", controllers.LabelQueue)
	c.installWorkloads()
	c.pass(run, time.Minute)
	c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", "Kueue has made no Workload")
	w := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"active": true}}}
	w.SetAPIVersion("kueue.x-k8s.io/v1beta2")
	w.SetKind("Workload")
	w.SetNamespace(c.namespace)
	w.SetName("job-curious")
	w.SetLabels(map[string]string{"kueue.x-k8s.io/job-uid": string(job.UID)})
	c.must(api.Create(c.Context(), w))
	for reason, message := range map[string]string{
		"Inadmissible": "LocalQueue training doesn't exist",
		"Pending":      "insufficient unused quota for cpu in flavor any-node, 1 more needed",
	} {
		c.must(unstructured.SetNestedSlice(w.Object, []any{map[string]any{
			"type": "QuotaReserved", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z",
		}}, "status", "conditions"))
		c.must(api.Update(c.Context(), w))
		c.pass(run, time.Minute)
		stalled, why := metav1.ConditionFalse, "AsExpected"
		if reason == "Inadmissible" {
			stalled, why = metav1.ConditionTrue, "Queued"
		}
		c.condition(run, v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", message)
		c.condition(run, v1alpha1.ConditionStalled, stalled, why)
	}
}

// installWorkloads makes the kind, until the end of the test.
func (c *cluster) installWorkloads() {
	c.Helper()
	c.must(apiextensionsv1.AddToScheme(api.Scheme()))
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "workloads.kueue.x-k8s.io", Annotations: map[string]string{
			"api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/kueue/pull/1113"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "kueue.x-k8s.io", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Workload", ListKind: "WorkloadList", Plural: "workloads", Singular: "workload"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1beta2", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: new(true),
				}},
			}},
		},
	}
	c.must(api.Create(c.Context(), crd))
	c.Cleanup(func() { _ = api.Delete(context.WithoutCancel(c.Context()), crd) })
	c.eventually("the kind", func() string {
		var list unstructured.UnstructuredList
		list.SetAPIVersion("kueue.x-k8s.io/v1beta2")
		list.SetKind("WorkloadList")
		if err := api.List(c.Context(), &list); err != nil {
			return err.Error()
		}
		return ""
	})
}
