package controllers

import (
	"context"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// load lists the attempts of the run and their pods.
func (r *Reconciler) load(ctx context.Context, s *scope) error {
	ours := ofRun(s.run)
	var jobs batchv1.JobList
	if err := r.List(ctx, &jobs, ours...); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := r.List(ctx, &pods, ours...); err != nil {
		return err
	}
	var sets jobset.JobSetList
	if r.jobSets.Load() {
		if err := r.List(ctx, &sets, labelled(s.run)...); err != nil {
			return err
		}
	}
	for i := range jobs.Items {
		if job := &jobs.Items[i]; controlledBy(job, s.run) {
			s.attempts = append(s.attempts, newAttempt(job, pods.Items))
		}
	}
	for i := range sets.Items {
		if set := &sets.Items[i]; controlledBy(set, s.run) {
			s.attempts = append(s.attempts, newSetAttempt(set, jobs.Items, pods.Items))
		}
	}
	s.sortAttempts()
	s.strays = straysOf(jobs.Items, sets.Items, pods.Items)
	return r.recallStatus(ctx, s)
}

// byRun is the cache's index of objects by the run that they are labelled with: without, each look at a run would go through
// the objects of all.
const byRun = "run"

// ofRun lists what is labelled with a run, of the kinds that are indexed.
func ofRun(run *v1alpha1.SimCLRRun) []client.ListOption {
	return []client.ListOption{client.InNamespace(run.Namespace), client.MatchingFields{byRun: run.Name}}
}

// labelled lists what is labelled with a run, of other kinds.
func labelled(run *v1alpha1.SimCLRRun) []client.ListOption {
	return []client.ListOption{client.InNamespace(run.Namespace), client.MatchingLabels{LabelRun: run.Name}}
}

func runLabel(object client.Object) []string { return []string{object.GetLabels()[LabelRun]} }

// indexByRun makes the index of what ofRun is asked for.
func indexByRun(ctx context.Context, indexer client.FieldIndexer) error {
	for _, object := range []client.Object{&batchv1.Job{}, &corev1.Pod{}, &corev1.ConfigMap{}} {
		if err := indexer.IndexField(ctx, object, byRun, runLabel); err != nil {
			return err
		}
	}
	return nil
}

// straysOf are the pods that have not ended although their Job or JobSet is gone: kubectl delete job takes the
// Job at once and gives its pod the grace period.
func straysOf(jobs []batchv1.Job, sets []jobset.JobSet, pods []corev1.Pod) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(p corev1.Pod) bool {
		owner := metav1.GetControllerOf(&p)
		if podEnded(&p) || owner == nil || owner.Kind != "Job" {
			return true
		}
		if uid := p.Labels[jobset.JobSetUIDKey]; uid != "" {
			return slices.ContainsFunc(sets, func(set jobset.JobSet) bool { return string(set.UID) == uid })
		}
		return slices.ContainsFunc(jobs, func(j batchv1.Job) bool { return j.UID == owner.UID })
	})
}

// ofThisRun says whether a pod was made since a run was, and so is none of a deleted run of its name.
func ofThisRun(pod *corev1.Pod, run *v1alpha1.SimCLRRun) bool {
	return !pod.CreationTimestamp.Before(&run.CreationTimestamp)
}

// read gets an object past the cache; false where there is none, or no such kind.
func (r *Reconciler) read(ctx context.Context, s *scope, name string, object client.Object) (bool, error) {
	err := r.APIReader.Get(ctx, client.ObjectKey{Namespace: s.run.Namespace, Name: name}, object)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// liveAttempt reads the run's Job or JobSet of a name past the cache; nil where there is none.
func (r *Reconciler) liveAttempt(ctx context.Context, s *scope, name string) (*attempt, error) {
	var job batchv1.Job
	found, err := r.read(ctx, s, name, &job)
	if err != nil {
		return nil, err
	}
	if found && controlledBy(&job, s.run) {
		return new(newAttempt(&job, nil)), nil
	}
	var set jobset.JobSet
	if found, err = r.read(ctx, s, name, &set); err != nil || !found || !controlledBy(&set, s.run) {
		return nil, err
	}
	return new(newSetAttempt(&set, nil, nil)), nil
}

// existing is what has the name of the attempt that was to be made.
func (r *Reconciler) existing(ctx context.Context, s *scope, wanted *attempt) (*attempt, error) {
	var a attempt
	var found bool
	var err error
	kind, name := wanted.kind(), wanted.object.GetName()
	if wanted.set != nil {
		var set jobset.JobSet
		found, err = r.read(ctx, s, name, &set)
		a = newSetAttempt(&set, nil, nil)
	} else {
		var job batchv1.Job
		found, err = r.read(ctx, s, name, &job)
		a = newAttempt(&job, nil)
	}
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, waitf(reasonStopping, "%s %s is going", kind, name)
	case controlledBy(a.object, s.run):
		return &a, nil
	case a.deleted(), ofOlderRun(a.object, s.run):
		return nil, waitf(reasonStopping, "%s %s is not this run's and is going", kind, name)
	}
	// Run a with stage b-c and run a-b with stage c both have a Job a-b-c-1.
	if owner := metav1.GetControllerOf(a.object); owner != nil {
		return nil, blockf(reasonNameTaken, "%s %s belongs to %s %s: make a new run of another name", kind, name, owner.Kind, owner.Name)
	}
	return nil, blockf(reasonNameTaken, "%s %s exists and is not this run's: delete it", kind, name)
}
