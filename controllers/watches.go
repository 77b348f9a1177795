package controllers

import (
	"context"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// endFirst is the priority in the work queue of a run of which a pod or a Job has ended: its next stage waits for nothing but
// the operator, and goes before a thousand runs that were submitted meanwhile.
const endFirst = 10

// ofRuns wakes the run that a pod or a Job belongs to, by its label; what it owns is checked by UID later.
type ofRuns struct{}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// Create implements handler.EventHandler.
func (ofRuns) Create(_ context.Context, e event.CreateEvent, q queue) { wake(e.Object, q) }

// Update implements handler.EventHandler. A run's label never changes.
func (ofRuns) Update(_ context.Context, e event.UpdateEvent, q queue) { wake(e.ObjectNew, q) }

// Delete implements handler.EventHandler.
func (ofRuns) Delete(_ context.Context, e event.DeleteEvent, q queue) { wake(e.Object, q) }

// Generic implements handler.EventHandler.
func (ofRuns) Generic(_ context.Context, e event.GenericEvent, q queue) { wake(e.Object, q) }

func wake(object client.Object, q queue) {
	name := object.GetLabels()[LabelRun]
	if name == "" {
		return
	}
	request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}
	if byPriority, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok && hasEnded(object) {
		byPriority.AddWithOpts(priorityqueue.AddOpts{Priority: new(endFirst)}, request)
		return
	}
	q.Add(request)
}

func hasEnded(object client.Object) bool {
	switch o := object.(type) {
	case *corev1.Pod:
		return podEnded(o)
	case *batchv1.Job:
		return jobCondition(o, batchv1.JobComplete) != nil || jobCondition(o, batchv1.JobFailed) != nil
	}
	return false
}

// tells leaves out updates of pods and Jobs that change nothing of what the operator reads, which is what Trim keeps: of a pod's
// and a Job's lives, more than half.
type tells struct{ predicate.Funcs }

// Update implements predicate.Predicate.
func (tells) Update(e event.UpdateEvent) bool {
	version := e.ObjectNew.GetResourceVersion()
	if version == e.ObjectOld.GetResourceVersion() {
		return true // a resync
	}
	old := e.ObjectOld.DeepCopyObject().(client.Object)
	old.SetResourceVersion(version)
	return !equality.Semantic.DeepEqual(old, e.ObjectNew)
}
