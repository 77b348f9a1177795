package controllers

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

func TestARunWhoseStageHasEndedGoesFirst(t *testing.T) {
	q := priorityqueue.New[reconcile.Request]("test")
	defer q.ShutDown()
	pod := func(run string, phase corev1.PodPhase) client.Object {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: run + "-pretrain-1-0", Labels: map[string]string{LabelRun: run}},
			Status:     corev1.PodStatus{Phase: phase},
		}
	}
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "d-pretrain-1", Labels: map[string]string{LabelRun: "d"}}}
	job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
	for _, object := range []client.Object{
		pod("a", corev1.PodPending), pod("b", corev1.PodRunning), pod("c", corev1.PodSucceeded), job, pod("", corev1.PodFailed),
	} {
		ofRuns{}.Create(t.Context(), event.CreateEvent{Object: object}, q)
	}
	for range 4 {
		request, priority, _ := q.GetWithPriority()
		want := map[string]int{"a": 0, "b": 0, "c": endFirst, "d": endFirst}[request.Name]
		if priority != want || request.Namespace != "ns" {
			t.Errorf("%s has priority %d, want %d", request, priority, want)
		}
		q.Done(request)
	}
	if n := q.Len(); n != 0 {
		t.Errorf("%d more in the queue", n)
	}
}

func TestUpdatesThatChangeNothingThatIsReadAreLeftOut(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: types.UID("u"), ResourceVersion: "1"}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
		change(p)
		if _, err := Trim(p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Pod)
		want   bool
	}{
		"a resync": {func(*corev1.Pod) {}, true},
		"readiness": {func(p *corev1.Pod) {
			p.ResourceVersion = "2"
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
		}, false},
		"managed fields": {func(p *corev1.Pod) {
			p.ResourceVersion, p.ManagedFields = "2", []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
		}, false},
		"a disruption": {func(p *corev1.Pod) {
			p.ResourceVersion = "2"
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
		}, true},
		"a container": {func(p *corev1.Pod) {
			p.ResourceVersion = "2"
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "sidecar", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}, true},
		"a deletion": {func(p *corev1.Pod) { p.ResourceVersion, p.DeletionTimestamp = "2", &metav1.Time{} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			old := pod(func(*corev1.Pod) {})
			if got := (tells{}).Update(event.UpdateEvent{ObjectOld: old, ObjectNew: pod(tc.change)}); got != tc.want {
				t.Errorf("told %t, want %t", got, tc.want)
			}
			if old.ResourceVersion != "1" {
				t.Error("the cache's object was changed")
			}
		})
	}
}
