package controllers

import (
	"context"
	"sync"
	"sync/atomic"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Reconciler makes what a SimCLRRun wants and tells what it sees.
type Reconciler struct {
	client.Client
	APIReader client.Reader // past the cache
	Recorder  events.EventRecorder
	Clock     clock.PassiveClock
	Poller    *Poller

	Images          map[v1alpha1.AcceleratorType]string // of the trainer
	ImagePullPolicy corev1.PullPolicy                   // of the trainer's pods; "" for Kubernetes' default
	DatasetMirror   string                              // base URL of known datasets; "" for their own
	ProgressPort    int                                 // contract.HTTPPort but in tests
	Neighbours      Neighbours                          // who may reach the trainer's pods

	jobSets atomic.Bool // whether the cluster has JobSet, and the cache its JobSets
	written written
	configs configs

	eventLimitOnce sync.Once
	eventLimit     flowcontrol.PassiveRateLimiter
}

// reconcilesAtOnce wait for the API server most of their time: fewer would hold up the stages of many runs that end together.
const reconcilesAtOnce = 8

// step is a sub-reconciler: one concern of a run.
type step func(context.Context, *scope) error

// steps are the sub-reconcilers in their order. Each may end the list with an error (errors.go).
func (r *Reconciler) steps() []step {
	return []step{r.load, r.ended, r.activeDeadline, r.suspend, r.fixConfig, r.storage, r.network, r.stages, r.progress, r.results}
}

// The permissions that the operator uses; config/rbac and the chart have them from here.
//
// +kubebuilder:rbac:groups=training.simclr.dev,resources=simclrruns,verbs=list;watch;delete
// +kubebuilder:rbac:groups=training.simclr.dev,resources=simclrruns/status,verbs=update
// +kubebuilder:rbac:groups=training.simclr.dev,resources=simclrruns/finalizers,verbs=update
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups=jobset.x-k8s.io,resources=jobsets,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=create
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;create
// +kubebuilder:rbac:groups=networking.k8s.io,resources=networkpolicies,verbs=list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=list
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// Reconcile brings one run nearer to what it wants.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var run v1alpha1.SimCLRRun
	if err := r.Get(ctx, request.NamespacedName, &run); err != nil || run.DeletionTimestamp != nil || !managed(&run) {
		r.Poller.Forget(request.NamespacedName)
		r.written.forget(request.NamespacedName)
		r.configs.forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err) // owner references clean up
	}
	if r.written.behind(&run, r.Clock.Now()) {
		return ctrl.Result{RequeueAfter: behindLimit}, nil // the watch brings it back here, earlier
	}
	s := newScope(&run, r.Clock.Now())
	var err error
	for _, step := range r.steps() {
		if err = step(ctx, s); err != nil {
			break
		}
	}
	result, err := s.settle(err)
	s.summarize()
	if writeErr := r.write(ctx, s); writeErr != nil {
		if apierrors.IsConflict(writeErr) {
			return ctrl.Result{RequeueAfter: conflictRetry}, nil // the cache is behind
		}
		return ctrl.Result{}, client.IgnoreNotFound(writeErr)
	}
	measured.observe(s.before, s.run, s.now)
	r.emit(s)
	return result, err
}

// write the status, only where it has changed and only over the one that was read. An update costs the API server less than a
// patch, for which it writes, merges and reads the whole run once more, and this process less than finding the difference.
func (r *Reconciler) write(ctx context.Context, s *scope) error {
	if equality.Semantic.DeepEqual(s.before.Status, s.run.Status) || s.onlyStarts() {
		return nil
	}
	err := r.Status().Update(ctx, s.run, client.FieldOwner(FieldManager))
	if err == nil {
		r.written.note(s.run, r.Clock.Now())
	}
	return err
}

func (r *Reconciler) emit(s *scope) {
	for _, e := range s.events {
		r.Recorder.Eventf(s.run, nil, e.kind, e.reason, "Reconcile", "%s", e.message)
	}
}

// ended leaves a run alone that is complete or has failed, once nothing of it runs, until its time to live is over.
func (r *Reconciler) ended(ctx context.Context, s *scope) error {
	if !finished(s.run) {
		return nil
	}
	r.Poller.Forget(client.ObjectKeyFromObject(s.run))
	r.configs.forget(client.ObjectKeyFromObject(s.run))
	if _, err := r.stopWorkloads(ctx, s); err != nil {
		return err
	}
	if err := r.expire(ctx, s); err != nil {
		return err
	}
	return errEnded
}

// SetupWithManager registers the reconciler and its poller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.ProgressPort == 0 {
		r.ProgressPort = contract.HTTPPort
	}
	if err := mgr.Add(r.Poller); err != nil {
		return err
	}
	if err := indexByRun(context.Background(), mgr.GetFieldIndexer()); err != nil {
		return err
	}
	if err := r.setupMetrics(mgr); err != nil {
		return err
	}
	installed, err := jobSetInstalled(mgr.GetRESTMapper())
	if err != nil {
		return err
	}
	b := ctrl.NewControllerManagedBy(mgr).
		Named("simclrrun").
		For(&v1alpha1.SimCLRRun{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Watches(&batchv1.Job{}, ofRuns{}, builder.WithPredicates(tells{})). // some belong to JobSets
		Watches(&corev1.Pod{}, ofRuns{}, builder.WithPredicates(tells{})).
		WatchesRawSource(source.Channel(r.Poller.wake, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: reconcilesAtOnce})
	if installed {
		r.jobSets.Store(true)
		return b.Owns(&jobset.JobSet{}).Complete(r)
	}
	c, err := b.Build(r)
	if err != nil {
		return err
	}
	return mgr.Add(&jobSetWatch{manager: mgr, controller: c, installed: func() { r.jobSets.Store(true) }})
}
