package controllers

import (
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

func TestActive(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(ago time.Duration) metav1.Time { return metav1.NewTime(now.Add(-ago)) }
	pod := func(name string, state corev1.ContainerState) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: ContainerName, State: state}}}}
	}
	runs := pod("second", corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(40 * time.Second)}})
	ended := pod("first", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: at(100 * time.Second), FinishedAt: at(70 * time.Second)}})
	waits := pod("second", corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}})
	other := *runs.DeepCopy()
	other.Name, other.Labels = "other", map[string]string{batchv1.JobCompletionIndexAnnotation: "1"}
	for name, tc := range map[string]struct {
		told        int64
		before      int64 // the newest attempt, as its Job says
		pods        []corev1.Pod
		counted     string // the pod that the status counted last
		beforeIt    int64
		want        time.Duration
		wantRunning bool
	}{
		"no attempt":                      {told: 7, want: 7 * time.Second},
		"a pod that waits":                {pods: []corev1.Pod{waits}, want: 0},
		"a pod that was never seen":       {pods: []corev1.Pod{{}}, want: 0},
		"a pod that runs":                 {pods: []corev1.Pod{runs}, want: 40 * time.Second, wantRunning: true},
		"a pod that has ended":            {pods: []corev1.Pod{ended}, want: 30 * time.Second},
		"one after the other":             {pods: []corev1.Pod{ended, runs}, want: 70 * time.Second, wantRunning: true},
		"two at once":                     {pods: []corev1.Pod{runs, other}, want: 40 * time.Second, wantRunning: true},
		"with earlier attempts":           {before: 100, pods: []corev1.Pod{runs}, want: 140 * time.Second, wantRunning: true},
		"of a status that was lost":       {told: 0, before: 100, want: 100 * time.Second},
		"of an attempt whose pod is gone": {told: 130, before: 100, pods: nil, want: 130 * time.Second},
		"a queue started it again": {
			told: 130, before: 100, counted: "first", beforeIt: 100, pods: []corev1.Pod{runs}, want: 170 * time.Second, wantRunning: true,
		},
		"a queue started it again, and that was seen": {
			told: 150, before: 100, counted: "second", beforeIt: 130, pods: []corev1.Pod{runs}, want: 170 * time.Second, wantRunning: true,
		},
		"a queue started it again, and its pod waits": {
			told: 130, before: 100, counted: "first", beforeIt: 100, pods: []corev1.Pod{waits}, want: 130 * time.Second,
		},
		"a status of an older operator": {told: 130, before: 100, pods: []corev1.Pod{runs}, want: 140 * time.Second, wantRunning: true},
	} {
		s := newScope(&v1alpha1.SimCLRRun{Status: v1alpha1.SimCLRRunStatus{
			ActiveSeconds: tc.told, ActivePod: tc.counted, ActiveSecondsBefore: tc.beforeIt,
		}}, now)
		if tc.pods != nil || tc.before > 0 {
			job := wrap.MakeJob("pretrain", map[string]string{annotationActiveSeconds: strconv.FormatInt(tc.before, 10)}).Obj()
			s.attempts = []attempt{{stage: "pretrain", number: 1, object: job, job: job, pods: tc.pods}}
		}
		if got, running := s.active(); got != tc.want || running != tc.wantRunning {
			t.Errorf("%s: %s, running %v; want %s, %v", name, got, running, tc.want, tc.wantRunning)
		}
	}
}

// A run whose trainers have run for too long is stopped, and fails once nothing of it runs; the time in which no trainer runs
// does not count.
func TestActiveDeadline(t *testing.T) {
	r, api, request := newTestReconciler(t, interceptor.Funcs{})
	clock := r.Clock.(*testingclock.FakeClock)
	changeRun(t, api, request, func(run *v1alpha1.SimCLRRun) { run.Spec.ActiveDeadlineSeconds = new(int32(90)) })
	reconcileRun(t, r, request, 1)
	clock.Step(time.Hour) // it waits for a node
	reconcileRun(t, r, request, 1)
	var job batchv1.Job
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "ns", Name: "run-pretrain-1"}, &job); err != nil {
		t.Fatalf("the time in which it waited counted: %v", err)
	}
	pod := wrap.MakePod(&job, "run-pretrain-1-0", "node").Running("").Obj()
	pod.Status.ContainerStatuses[0].State.Running.StartedAt = metav1.NewTime(clock.Now())
	if err := api.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	clock.Step(80 * time.Second)
	result, err := r.Reconcile(t.Context(), request)
	if err != nil || result.RequeueAfter != 10*time.Second {
		t.Fatalf("%+v, %v; want another look after 10s", result, err)
	}
	clock.Step(10 * time.Second)
	reconcileRun(t, r, request, 1)
	condition := func(kind string) (c metav1.Condition) {
		t.Helper()
		var run v1alpha1.SimCLRRun
		if err := api.Get(t.Context(), request.NamespacedName, &run); err != nil {
			t.Fatal(err)
		}
		if found := meta.FindStatusCondition(run.Status.Conditions, kind); found != nil {
			c = *found
		}
		return c
	}
	if c := condition(v1alpha1.ConditionProgressing); c.Reason != reasonDeadlineExceeded || c.Status != metav1.ConditionFalse {
		t.Errorf("while it saves: %+v", c)
	}
	if names := jobNames(t, api); len(names) != 0 {
		t.Errorf("Jobs %v are still there", names)
	}
	if err := api.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	reconcileRun(t, r, request, 2)
	if c := condition(v1alpha1.ConditionFailed); c.Reason != reasonDeadlineExceeded || c.Status != metav1.ConditionTrue ||
		!strings.Contains(c.Message, "ran for 90 seconds, 90 were allowed") {
		t.Errorf("after it: %+v", c)
	}
	if names := jobNames(t, api); len(names) != 0 {
		t.Errorf("Jobs %v were made after its end", names)
	}
}
