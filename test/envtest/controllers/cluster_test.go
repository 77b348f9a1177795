package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

const (
	patience = 15 * time.Second
	tick     = 50 * time.Millisecond
)

// cluster is one test's namespace, where pods must keep the restricted Pod Security Standard, and the
// parts of the Job controller, the kubelet and the garbage collector that the test plays.
type cluster struct {
	*testing.T
	namespace string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "test-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	c := &cluster{T: t}
	c.must(api.Create(t.Context(), ns))
	c.namespace = ns.Name
	return c
}

func (c *cluster) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// eventually waits until check returns "", and fails with what it returned last.
func (c *cluster) eventually(what string, check func() string) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for {
		missing := check()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s: %s", what, missing)
		}
		time.Sleep(tick)
	}
}

func (c *cluster) create(w *wrap.RunWrapper) *v1alpha1.SimCLRRun {
	c.Helper()
	run := w.Obj()
	c.must(api.Create(c.Context(), run))
	return run
}

func (c *cluster) get(run *v1alpha1.SimCLRRun) *v1alpha1.SimCLRRun {
	c.Helper()
	var fresh v1alpha1.SimCLRRun
	c.must(api.Get(c.Context(), client.ObjectKeyFromObject(run), &fresh))
	return &fresh
}

// edit changes a run's spec or metadata, again where the operator wrote in between.
func (c *cluster) edit(run *v1alpha1.SimCLRRun, change func(*v1alpha1.SimCLRRun)) {
	c.Helper()
	before := c.get(run)
	after := before.DeepCopy()
	change(after)
	c.must(api.Patch(c.Context(), after, client.MergeFrom(before)))
}

// pass lets time pass for the operator and makes it look.
func (c *cluster) pass(run *v1alpha1.SimCLRRun, d time.Duration) {
	c.Helper()
	now := shift.Add(int64(d))
	c.Cleanup(func() { shift.Store(0) })
	c.edit(run, func(r *v1alpha1.SimCLRRun) {
		metav1.SetMetaDataAnnotation(&r.ObjectMeta, "test/touched", fmt.Sprint(now, time.Now().UnixNano()))
	})
}

// condition waits for a condition with a reason and a message that has the words.
func (c *cluster) condition(run *v1alpha1.SimCLRRun, kind string, status metav1.ConditionStatus, reason string, words ...string) {
	c.Helper()
	c.eventually("condition", func() string {
		fresh := c.get(run)
		got := meta.FindStatusCondition(fresh.Status.Conditions, kind)
		if got == nil || got.Status != status || got.Reason != reason {
			return fmt.Sprintf("want %s %s %s, have %+v", kind, status, reason, fresh.Status.Conditions)
		}
		for _, w := range words {
			if !strings.Contains(got.Message, w) {
				return fmt.Sprintf("message %q lacks %q", got.Message, w)
			}
		}
		return ""
	})
}

// job waits for an attempt's Job.
func (c *cluster) job(run *v1alpha1.SimCLRRun, stage string, attempt int32) *batchv1.Job {
	c.Helper()
	var job batchv1.Job
	key := client.ObjectKey{Namespace: c.namespace, Name: controllers.JobName(run.Name, stage, attempt)}
	c.eventually("Job "+key.Name, func() string {
		if err := api.Get(c.Context(), key, &job); err != nil {
			return err.Error() + fmt.Sprintf(" %+v", c.get(run).Status.Conditions)
		}
		return ""
	})
	return &job
}

// jobs are the names of a run's Jobs.
func (c *cluster) jobs(run *v1alpha1.SimCLRRun) []string {
	c.Helper()
	var list batchv1.JobList
	c.must(api.List(c.Context(), &list, client.InNamespace(c.namespace), client.MatchingLabels{controllers.LabelRun: run.Name}))
	var names []string
	for _, j := range list.Items {
		names = append(names, j.Name)
	}
	return names
}

// pod makes a Job's pod on a node, as it is.
func (c *cluster) pod(job *batchv1.Job, change func(*wrap.PodWrapper)) *corev1.Pod {
	c.Helper()
	return c.make(wrap.MakePod(job, fmt.Sprintf("%s-0-%d", job.Name, time.Now().UnixNano()%1e6), "node-1"), change)
}

// make a pod as it is.
func (c *cluster) make(w *wrap.PodWrapper, change func(*wrap.PodWrapper)) *corev1.Pod {
	c.Helper()
	change(w)
	status := w.Status
	c.must(api.Create(c.Context(), w.Obj()))
	w.Status = status
	c.must(api.Status().Update(c.Context(), w.Obj()))
	return w.Obj()
}

func (c *cluster) runs(job *batchv1.Job) *corev1.Pod {
	c.Helper()
	return c.pod(job, func(w *wrap.PodWrapper) { w.Running("") })
}

// exits ends a pod.
func (c *cluster) exits(pod *corev1.Pod, code int32, message string) {
	c.Helper()
	w := &wrap.PodWrapper{Pod: *pod}
	c.must(api.Get(c.Context(), client.ObjectKeyFromObject(pod), &w.Pod))
	w.Exited(code, message)
	c.must(api.Status().Update(c.Context(), &w.Pod))
}

// ends a Job, as its controller does.
func (c *cluster) ends(job *batchv1.Job, kind batchv1.JobConditionType) {
	c.Helper()
	fresh := &batchv1.Job{}
	c.must(api.Get(c.Context(), client.ObjectKeyFromObject(job), fresh))
	wrap.EndJob(fresh, kind, "Test")
	c.must(api.Status().Update(c.Context(), fresh))
}

// succeeds ends a stage well.
func (c *cluster) succeeds(job *batchv1.Job, stage string, m contract.TerminationMessage) {
	c.Helper()
	m.Stage = stage
	c.exits(c.runs(job), 0, wrap.Message(m))
	c.ends(job, batchv1.JobComplete)
}

// fails ends an attempt with an exit code.
func (c *cluster) fails(job *batchv1.Job, stage string, m contract.TerminationMessage) {
	c.Helper()
	m.Stage = stage
	c.exits(c.runs(job), m.ExitCode, wrap.Message(m))
	c.ends(job, batchv1.JobFailed)
}

// collects waits for a Job's deletion in the foreground, ends its pods, then lets it go.
func (c *cluster) collects(job *batchv1.Job) {
	c.Helper()
	fresh := &batchv1.Job{}
	c.eventually("deletion of "+job.Name, func() string {
		c.must(client.IgnoreNotFound(api.Get(c.Context(), client.ObjectKeyFromObject(job), fresh)))
		if fresh.DeletionTimestamp == nil {
			return "not deleted"
		}
		return ""
	})
	if len(fresh.Finalizers) != 1 || fresh.Finalizers[0] != metav1.FinalizerDeleteDependents {
		c.Fatalf("finalizers %v: not deleted in the foreground", fresh.Finalizers)
	}
	c.must(api.DeleteAllOf(c.Context(), &corev1.Pod{}, client.InNamespace(c.namespace),
		client.MatchingLabels{controllers.LabelStage: job.Labels[controllers.LabelStage]}, client.GracePeriodSeconds(0)))
	before := fresh.DeepCopy()
	fresh.Finalizers = nil
	c.must(api.Patch(context.WithoutCancel(c.Context()), fresh, client.MergeFrom(before)))
	c.eventually("end of "+job.Name, func() string {
		if err := api.Get(c.Context(), client.ObjectKeyFromObject(job), fresh); !apierrors.IsNotFound(err) {
			return fmt.Sprint(err)
		}
		return ""
	})
}

// gone deletes an object as the garbage collector does, without its protection by other controllers.
func (c *cluster) gone(object client.Object) {
	c.Helper()
	c.must(api.Delete(c.Context(), object, client.PropagationPolicy(metav1.DeletePropagationBackground)))
	c.must(client.IgnoreNotFound(api.Patch(c.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))))
}

func suspended(yes bool) func(*v1alpha1.SimCLRRun) {
	return func(r *v1alpha1.SimCLRRun) { r.Spec.Suspend = new(yes) }
}
