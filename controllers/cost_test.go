package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// getRun as the fake API server has it.
func getRun(t *testing.T, api client.Client, request ctrl.Request) *v1alpha1.SimCLRRun {
	t.Helper()
	var run v1alpha1.SimCLRRun
	if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
		t.Fatal(err)
	}
	return &run
}

// addPod of the run's first attempt to the fake API server.
func addPod(t *testing.T, r *Reconciler, api client.Client, change func(*wrap.PodWrapper)) {
	t.Helper()
	var job batchv1.Job
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, &job); err != nil {
		t.Fatal(err)
	}
	pod := wrap.MakePod(&job, job.Name+"-0-abcde", "node-1")
	pod.CreationTimestamp = metav1.NewTime(r.Clock.Now())
	change(pod)
	if err := api.Create(t.Context(), pod.Obj()); err != nil {
		t.Fatal(err)
	}
}

func TestARunThatTheCacheHasAsItWasBeforeAWriteIsLeftAlone(t *testing.T) {
	var old *v1alpha1.SimCLRRun // what the cache has; nil: what the API server has
	patches := 0
	r, api, request := newTestReconciler(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if run, ok := o.(*v1alpha1.SimCLRRun); ok && old != nil {
				old.DeepCopyInto(run)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, opts ...client.SubResourceUpdateOption) error {
			patches++
			return c.SubResource(sub).Update(ctx, o, opts...)
		},
	})
	before := getRun(t, api, request)
	reconcileRun(t, r, request, 1)
	old = before
	reconcileRun(t, r, request, 3)
	if patches != 1 {
		t.Errorf("%d patches, want 1: those of an old run can only end in a conflict", patches)
	}
	r.Clock.(*testingclock.FakeClock).Step(behindLimit)
	reconcileRun(t, r, request, 1)
	if patches != 2 {
		t.Errorf("%d patches, want 2: a cache that is behind for long is believed again", patches)
	}
	old = nil
	reconcileRun(t, r, request, 1)
	if st := getRun(t, api, request).Status.Stages[0]; st.Attempts != 1 {
		t.Errorf("attempts %d, want 1", st.Attempts)
	}
}

func TestAnAttemptThatRunsAsksNothingPastTheCache(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	reads := 0
	r.APIReader = interceptor.NewClient(api.(client.WithWatch), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, o, opts...)
		},
	})
	reconcileRun(t, r, request, 1)
	if reads == 0 {
		t.Error("an attempt was made without a look at its claims")
	}
	addPod(t, r, api, func(p *wrap.PodWrapper) { p.Running("10.0.0.1") })
	reads = 0
	reconcileRun(t, r, request, 3)
	if reads != 0 {
		t.Errorf("%d reads of an attempt that runs", reads)
	}
}

func TestTheNextStageIsMadeWithoutALookAtItsOutputClaim(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Spec.LinearEvaluation.Mode = v1alpha1.Enabled })
	reconcileRun(t, r, request, 1)
	addPod(t, r, api, func(p *wrap.PodWrapper) {
		p.Exited(0, wrap.Message(contract.TerminationMessage{Stage: v1alpha1.StagePretrain, EncoderSHA256: strings.Repeat("0", 64)}))
	})
	r.APIReader = interceptor.NewClient(api.(client.WithWatch), interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
			t.Errorf("%T %s is read past the cache", o, key)
			return nil
		},
	})
	reconcileRun(t, r, request, 1)
	if names := jobNames(t, api); len(names) != 2 {
		t.Errorf("Jobs %v, want the next stage's, too", names)
	}
}

func TestThatAPodIsScheduledIsWrittenWithWhatComesNext(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	reconcileRun(t, r, request, 1)
	written := getRun(t, api, request).ResourceVersion
	addPod(t, r, api, func(*wrap.PodWrapper) {})
	reconcileRun(t, r, request, 1)
	if now := getRun(t, api, request).ResourceVersion; now != written {
		t.Error("the status was written for a pod that is about to start")
	}
	r.Clock.(*testingclock.FakeClock).Step(pendingRetry)
	reconcileRun(t, r, request, 1)
	if now := getRun(t, api, request).ResourceVersion; now == written {
		t.Error("the status does not tell of a pod that is scheduled and does not start")
	}
}

func TestThatAStageTrainsIsWrittenWithTheFirstThatItTells(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	clock := r.Clock.(*testingclock.FakeClock)
	reconcileRun(t, r, request, 1)
	written := getRun(t, api, request).ResourceVersion
	addPod(t, r, api, func(p *wrap.PodWrapper) {
		p.Running("10.0.0.1")
		p.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(clock.Now())
	})
	clock.Step(time.Second)
	result, err := r.Reconcile(t.Context(), request)
	if err != nil || result.RequeueAfter != firstAnswer-time.Second {
		t.Errorf("%+v, %v: want another look when the trainer should have told", result, err)
	}
	if now := getRun(t, api, request).ResourceVersion; now != written {
		t.Error("the status was written for a trainer that is about to tell")
	}
	clock.Step(firstAnswer - time.Second)
	reconcileRun(t, r, request, 2)
	status := getRun(t, api, request).Status
	for kind, reason := range map[string]string{v1alpha1.ConditionProgressing: reasonTraining, v1alpha1.ConditionResourcesFit: reasonScheduled} {
		if c := meta.FindStatusCondition(status.Conditions, kind); c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason {
			t.Errorf("condition %+v, want True %s", c, reason)
		}
	}
}

func TestAFirstAttemptIsNotedWhenItsJobGoes(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	reconcileRun(t, r, request, 1)
	changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Spec.Suspend = new(true) })
	reconcileRun(t, r, request, 2)
	if names := jobNames(t, api); len(names) != 0 {
		t.Fatalf("Jobs %v of a suspended run", names)
	}
	run := getRun(t, api, request)
	run.Status = v1alpha1.SimCLRRunStatus{}
	if err := api.Status().Update(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Spec.Suspend = nil })
	reconcileRun(t, r, request, 1)
	if diff := cmp.Diff([]string{"run-pretrain-2"}, jobNames(t, api)); diff != "" {
		t.Errorf("Jobs (-want +got):\n%s", diff)
	}
}

func TestALostStatusAndJobDoNotLetTwoPodsWrite(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	reconcileRun(t, r, request, 1)
	addPod(t, r, api, func(p *wrap.PodWrapper) { p.Running("10.0.0.1") })
	var job batchv1.Job
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, &job); err != nil {
		t.Fatal(err)
	}
	if err := api.Delete(t.Context(), &job); err != nil {
		t.Fatal(err)
	}
	run := getRun(t, api, request)
	run.Status = v1alpha1.SimCLRRunStatus{}
	if err := api.Status().Update(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 3)
	if names := jobNames(t, api); len(names) != 0 {
		t.Errorf("Jobs %v beside a pod that still writes", names)
	}
	if err := api.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace("ns")); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 1)
	if names := jobNames(t, api); len(names) != 1 {
		t.Errorf("Jobs %v once it is gone, want one", names)
	}
}

func TestTrimKeepsWhatIsRead(t *testing.T) {
	template := corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: ContainerName, Image: "image", Env: []corev1.EnvVar{{Name: "HOME", Value: "/"}, {Name: "SIMCLR_THREADS", Value: "2"}},
			VolumeMounts: []corev1.VolumeMount{{Name: "run"}},
		}},
		Volumes: []corev1.Volume{{Name: "run"}},
	}
	managed := []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	pod := &corev1.Pod{Spec: *template.DeepCopy()}
	pod.Spec.NodeName, pod.Status.PodIP, pod.ManagedFields = "node-1", "10.0.0.1", managed
	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 12, Message: "{}"}}
	disrupted := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "r", Message: "m"}
	pod.Status.HostIP, pod.Status.Phase, pod.Status.Reason, pod.Status.Message = "10.0.0.9", corev1.PodFailed, "Evicted", "memory"
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: ContainerName, State: ended, ImageID: "sha256:"}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}, disrupted}
	job := &batchv1.Job{Spec: batchv1.JobSpec{Parallelism: new(int32(2)), Template: corev1.PodTemplateSpec{Spec: template}}}
	job.Annotations, job.ManagedFields = map[string]string{annotationCharged: "1"}, managed
	job.Status.Active, job.Status.Conditions = 1, []batchv1.JobCondition{{Type: batchv1.JobFailed}}
	for _, object := range []any{pod, job} {
		if _, err := Trim(object); err != nil {
			t.Fatal(err)
		}
	}
	wantPod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "node-1"}, Status: corev1.PodStatus{
		PodIP: "10.0.0.1", Phase: corev1.PodFailed, Reason: "Evicted", Message: "memory",
		ContainerStatuses: []corev1.ContainerStatus{{Name: ContainerName, State: ended}}, Conditions: []corev1.PodCondition{disrupted},
	}}
	if diff := cmp.Diff(wantPod, pod); diff != "" {
		t.Errorf("pod (-want +got):\n%s", diff)
	}
	wantJob := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationCharged: "1"}},
		Spec: batchv1.JobSpec{Parallelism: new(int32(2)), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: ContainerName, Image: "image", Env: []corev1.EnvVar{{Name: "SIMCLR_THREADS", Value: "2"}}}},
		}}},
		Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{{Type: batchv1.JobFailed}}},
	}
	if diff := cmp.Diff(wantJob, job); diff != "" {
		t.Errorf("Job (-want +got):\n%s", diff)
	}
}

// The Job's finalizer keeps a deleted pod for a moment. Its deletion neither ended it nor buys the run a restart.
func TestAPodThatIsDeletedAfterItsEndWasNotedIsCharged(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	reconcileRun(t, r, request, 1)
	addPod(t, r, api, func(p *wrap.PodWrapper) {
		p.Exited(14, "")
		p.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.NewTime(r.Clock.Now())
		p.Finalizers = []string{batchv1.JobTrackingFinalizer}
	})
	var job batchv1.Job
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, &job); err != nil {
		t.Fatal(err)
	}
	wrap.EndJob(&job, batchv1.JobFailed, "Test")
	if err := api.Status().Update(t.Context(), &job); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 1)
	var pods corev1.PodList
	if err := api.List(t.Context(), &pods); err != nil {
		t.Fatal(err)
	}
	if err := api.Delete(t.Context(), &pods.Items[0]); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 2)
	if names := jobNames(t, api); len(names) != 1 {
		t.Errorf("Jobs %v, want the first alone while the run backs off", names)
	}
	if f := getRun(t, api, request).Status.Stages[0].LastFailure; f == nil || f.Charge != charged {
		t.Errorf("last failure %+v, want it charged", f)
	}
}

// The API server reads all events of a namespace for each question about them.
func TestEventsAreAskedForAFewTimesAtOnce(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	asked := 0
	r.APIReader = interceptor.NewClient(api.(client.WithWatch), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			asked++
			return c.List(ctx, list, opts...)
		},
	})
	reconcileRun(t, r, request, 1)
	addPod(t, r, api, func(p *wrap.PodWrapper) { p.UID = "pod" })
	clock := r.Clock.(*testingclock.FakeClock)
	clock.Step(quietTime)
	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "ns", Name: "event"},
		InvolvedObject: corev1.ObjectReference{UID: "pod"}, Reason: "FailedMount", Message: "no such claim",
		LastTimestamp: metav1.NewTime(r.Clock.Now()),
	}
	if err := api.Create(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 3*eventsAtOnce)
	if asked != eventsAtOnce {
		t.Errorf("asked %d times, want %d", asked, eventsAtOnce)
	}
	if message := getRun(t, api, request).Status.Message; message != "stage pretrain: no such claim" {
		t.Errorf("message %q: what was told stays while nothing is asked", message)
	}
	clock.Step(time.Second)
	reconcileRun(t, r, request, 3)
	if asked != eventsAtOnce+eventsPerSecond {
		t.Errorf("asked %d times, want one more a second later", asked)
	}
}
