package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// times when a watch told of a Job's steps; zero where it has not.
type times struct{ created, runs, exited, complete time.Time }

// observer watches a namespace's Jobs and pods, and notes when it heard of what. The API's own times have whole seconds.
type observer struct {
	// key of a Job or its pod: what a client that makes it calls it.
	key func(metav1.Object) string
	// completed is told of each Job that is complete, once.
	completed func(key string)

	mu   sync.Mutex
	jobs map[string]*times
	last time.Time // when the last Job became complete
	done int
}

// jobKey is a Job's name, of itself and of its pods.
func jobKey(o metav1.Object) string {
	if name := o.GetLabels()[batchv1.JobNameLabel]; name != "" {
		return name
	}
	return o.GetName()
}

// observe a namespace until the context ends.
func observe(ctx context.Context, config *rest.Config, namespace string, key func(metav1.Object) string, completed func(string)) (*observer, error) {
	o := &observer{key: key, completed: completed, jobs: map[string]*times{}}
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf"
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactoryWithOptions(set, 0, informers.WithNamespace(namespace), informers.WithTransform(trim))
	for _, informer := range []cache.SharedIndexInformer{factory.Batch().V1().Jobs().Informer(), factory.Core().V1().Pods().Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: o.note, UpdateFunc: func(_, now any) { o.note(now) }})
		if err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return nil, fmt.Errorf("watching %s: %w", kind, ctx.Err())
		}
	}
	return o, nil
}

// trim keeps what is read of an object, so that thousands fit into little memory.
func trim(object any) (any, error) {
	switch o := object.(type) {
	case *batchv1.Job:
		o.Spec, o.ManagedFields = batchv1.JobSpec{}, nil
	case *corev1.Pod:
		o.Spec, o.ManagedFields = corev1.PodSpec{}, nil
		o.Status = corev1.PodStatus{Phase: o.Status.Phase}
	}
	return object, nil
}

func (o *observer) note(object any) {
	now := time.Now()
	key := o.key(object.(metav1.Object))
	if o.noteAt(now, key, object) && o.completed != nil {
		o.completed(key)
	}
}

// noteAt says whether a Job is complete that was not.
func (o *observer) noteAt(now time.Time, key string, object any) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.jobs[key]
	if t == nil {
		t = &times{}
		o.jobs[key] = t
	}
	first := func(at *time.Time) bool {
		if !at.IsZero() {
			return false
		}
		*at = now
		return true
	}
	switch object := object.(type) {
	case *corev1.Pod:
		switch object.Status.Phase {
		case corev1.PodRunning:
			first(&t.runs)
		case corev1.PodSucceeded:
			first(&t.exited)
		case corev1.PodPending, corev1.PodFailed, corev1.PodUnknown: // tell nothing that is measured
		}
	case *batchv1.Job:
		first(&t.created)
		if jobComplete(object) && first(&t.complete) {
			o.last = now
			o.done++
			return true
		}
	}
	return false
}

func jobComplete(job *batchv1.Job) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
	})
}

func (o *observer) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

// ran is of how many Jobs a pod has.
func (o *observer) ran() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	ran := 0
	for _, t := range o.jobs {
		if !t.runs.IsZero() || !t.exited.IsZero() {
			ran++
		}
	}
	return ran
}

// gaps in seconds from a Job's completion, and from its pod's exit, to the next Job of its chain.
func (o *observer) gaps(chains [][]string) (complete, exited []float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, chain := range chains {
		for i := 1; i < len(chain); i++ {
			before, next := o.jobs[chain[i-1]], o.jobs[chain[i]]
			complete = append(complete, next.created.Sub(before.complete).Seconds())
			exited = append(exited, next.created.Sub(before.exited).Seconds())
		}
	}
	return complete, exited
}

// quantile of values that are there: the smallest that is not less than a share q of them.
func quantile(q float64, values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
