package controllers

import (
	"context"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// load lists the attempts of the run and their pods.
func (r *Reconciler) load(ctx context.Context, s *scope) error {
	ours := []client.ListOption{client.InNamespace(s.run.Namespace), client.MatchingLabels{LabelRun: s.run.Name}}
	var jobs batchv1.JobList
	if err := r.List(ctx, &jobs, ours...); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := r.List(ctx, &pods, ours...); err != nil {
		return err
	}
	for i := range jobs.Items {
		if job := &jobs.Items[i]; controlledBy(job, s.run) {
			s.attempts = append(s.attempts, newAttempt(job, pods.Items))
		}
	}
	s.sortAttempts()
	s.strays = straysOf(jobs.Items, pods.Items)
	return r.recallStatus(ctx, s)
}

// straysOf are the pods that have not ended although their Job is gone: kubectl delete job takes the Job
// at once and gives its pod the grace period.
func straysOf(jobs []batchv1.Job, pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		return podEnded(&p) || owner == nil || owner.Kind != "Job" ||
			slices.ContainsFunc(jobs, func(j batchv1.Job) bool { return j.UID == owner.UID })
	})
}

// liveJob reads a Job past the cache; nil where there is none.
func (r *Reconciler) liveJob(ctx context.Context, s *scope, name string) (*batchv1.Job, error) {
	var job batchv1.Job
	err := r.APIReader.Get(ctx, client.ObjectKey{Namespace: s.run.Namespace, Name: name}, &job)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return &job, err
}

// existing is the Job that has the name of the attempt that was to be made.
func (r *Reconciler) existing(ctx context.Context, s *scope, name string) (*batchv1.Job, error) {
	job, err := r.liveJob(ctx, s, name)
	switch {
	case err != nil:
		return nil, err
	case job == nil:
		return nil, waitf(reasonStopping, "Job %s is going", name)
	case controlledBy(job, s.run):
		return job, nil
	case job.DeletionTimestamp != nil, ofOlderRun(job, s.run):
		return nil, waitf(reasonStopping, "Job %s is not this run's and is going", name)
	}
	// Run a with stage b-c and run a-b with stage c both have a Job a-b-c-1.
	if owner := metav1.GetControllerOf(job); owner != nil {
		return nil, blockf(reasonNameTaken, "Job %s belongs to %s %s: make a new run of another name", name, owner.Kind, owner.Name)
	}
	return nil, blockf(reasonNameTaken, "Job %s exists and is not this run's: delete it", name)
}
