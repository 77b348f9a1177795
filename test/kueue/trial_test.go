//go:build e2e

package kueue

import (
	"context"
	"fmt"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// trial is a run in a queue.
type trial struct{ *scenario.Scenario }

func inQueue(r *v1alpha1.SimCLRRun) {
	r.Labels = map[string]string{controllers.LabelQueue: "training"}
}

func urgent(r *v1alpha1.SimCLRRun) { r.Labels[controllers.LabelQueuePriority] = "urgent" }

// start creates a run in a queue of its namespace, which has the one quota of all.
func start(t *testing.T, changes ...func(*v1alpha1.SimCLRRun)) *trial {
	t.Helper()
	s := &trial{scenario.Start(t, append([]func(*v1alpha1.SimCLRRun){inQueue}, changes...)...)}
	s.Must(scenario.API.Create(t.Context(), localQueue(s.Run.Namespace)))
	return s
}

func (s *trial) waits(words ...string) {
	s.Helper()
	s.Condition(v1alpha1.ConditionProgressing, metav1.ConditionFalse, "Queued", scenario.Patience, words...)
}

// runs waits until the stage has done a number of steps more than it went on from, and is now the last step that was told.
func (s *trial) runs(steps int64) int64 {
	s.Helper()
	var now int64
	s.Eventually(fmt.Sprintf("%d steps more", steps), scenario.Patience, func() string {
		run := s.Get()
		now = 0
		if len(run.Status.Stages) == 0 || run.Status.Stages[0].Progress == nil {
			return "no progress yet"
		}
		st, from := run.Status.Stages[0], int64(0)
		if st.Checkpoint != nil && st.Checkpoint.ResumedFrom != nil {
			from = *st.Checkpoint.ResumedFrom
		}
		if now = st.Progress.Step; st.State != v1alpha1.StageRunning || now < from+steps {
			return fmt.Sprintf("%+v", st)
		}
		return ""
	})
	return now
}

// resumes waits until the trainer tells that it went on from a step at or after one, and is which.
func (s *trial) resumes(after int64) int64 {
	s.Helper()
	var from int64
	s.Eventually(fmt.Sprintf("going on from step %d or later", after), scenario.Patience, func() string {
		st := s.Stage("pretrain")
		if st.Checkpoint == nil || st.Checkpoint.ResumedFrom == nil || *st.Checkpoint.ResumedFrom < after {
			return fmt.Sprintf("%+v", st.Checkpoint)
		}
		from = *st.Checkpoint.ResumedFrom
		return ""
	})
	return from
}

// job of the stage's current attempt.
func (s *trial) job() *batchv1.Job {
	s.Helper()
	var job batchv1.Job
	s.Eventually("a Job", scenario.Patience, func() string {
		name := s.Stage("pretrain").Workload
		if name == "" {
			return "none yet"
		}
		if err := scenario.API.Get(s.Context(), s.Key(name), &job); err != nil {
			return err.Error()
		}
		return ""
	})
	return &job
}

// workloads of Kueue's in the run's namespace, by the UIDs of the Jobs they are of.
func (s *trial) workloads() map[types.UID]bool {
	s.Helper()
	var list unstructured.UnstructuredList
	list.SetAPIVersion("kueue.x-k8s.io/v1beta2")
	list.SetKind("WorkloadList")
	s.Must(scenario.API.List(s.Context(), &list, client.InNamespace(s.Run.Namespace)))
	found := map[types.UID]bool{}
	for i := range list.Items {
		found[types.UID(list.Items[i].GetLabels()["kueue.x-k8s.io/job-uid"])] = true
	}
	return found
}

// preempt takes the quota by an urgent Job that only waits, and returns when that runs: the run's pod is gone then, because no
// place is left for both. The trainer is frozen until it is told to stop, so that it does not end before. The returned function
// gives the quota back.
func (s *trial) preempt(name string) func() {
	s.Helper()
	var job *batchv1.Job
	s.Frozen(func() {
		job = s.takeQuota(name)
		s.stops()
	})
	return s.taken(job)
}

// stops waits until the run's pods are told to stop.
func (s *trial) stops() {
	s.Helper()
	s.Eventually("SIGTERM", scenario.Patience, func() string {
		if pods := s.Pods(); len(pods) > 0 && pods[0].DeletionTimestamp == nil {
			return "its pod is not deleted"
		}
		return ""
	})
}

// taken waits until the Job runs that takes the quota; the returned function gives it back.
func (s *trial) taken(job *batchv1.Job) func() {
	s.Helper()
	s.Eventually("the urgent Job's pod", scenario.Patience, func() string {
		s.Must(scenario.API.Get(s.Context(), client.ObjectKeyFromObject(job), job))
		if job.Status.Ready == nil || *job.Status.Ready == 0 {
			return fmt.Sprintf("%+v", job.Status)
		}
		return ""
	})
	return func() {
		s.Must(scenario.API.Delete(context.WithoutCancel(s.Context()), job, client.PropagationPolicy(metav1.DeletePropagationForeground)))
	}
}

// takeQuota makes an urgent Job that only waits and requests all of the quota.
func (s *trial) takeQuota(name string) *batchv1.Job {
	s.Helper()
	resources := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("2Gi")}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Run.Namespace, Name: name, Labels: map[string]string{
			controllers.LabelQueue: "training", controllers.LabelQueuePriority: "urgent",
		}},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(1)),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: new(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{
				Name: "pause", Image: "simclr.local/pause:dev", ImagePullPolicy: corev1.PullNever,
				Resources: corev1.ResourceRequirements{Requests: resources},
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		}}},
	}
	s.Must(scenario.API.Create(s.Context(), job))
	return job
}

// unharmed wants a complete run with the weights of one that nothing happened to, bit by bit, and nothing charged.
func (s *trial) unharmed() *v1alpha1.SimCLRRun {
	s.Helper()
	run := s.Completes()
	s.WantUndisturbed(run, 0)
	if st := run.Status.Stages[0]; st.UnchargedInRow != 0 {
		s.Errorf("stage %+v", st)
	}
	return run
}

// sometime is long enough for another hand to do what it should not.
const sometime = 5 * time.Second
