package controllers

import (
	"context"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	// replicatedJob is the name of a JobSet's only Job, by which its Job and pods are named.
	replicatedJob = "w"
	// lookForJobSet is how often a manager looks whether JobSet has been installed.
	lookForJobSet = 5 * time.Second

	// gkeNodePool of a TPU slice: its hosts are one node pool, and a slice's pods must be on one slice.
	gkeNodePool = "cloud.google.com/gke-nodepool"
)

var jobSetKind = jobset.SchemeGroupVersion.WithKind("JobSet")

// kind of the workload, in words.
func (a *attempt) kind() string {
	if a.set != nil {
		return jobSetKind.Kind
	}
	return "Job"
}

// jobSet is one attempt of several workers: one Job with an index for each, whose pods have stable names, and which is never made
// again.
func jobSet(s *scope, stage string, number int32, l ledger, template corev1.PodTemplateSpec) *jobset.JobSet {
	workers := s.workersOf(stage)
	set := &jobset.JobSet{
		ObjectMeta: workloadMeta(s, stage, number, l),
		Spec: jobset.JobSetSpec{
			Suspend: bornSuspended(s.run),
			ReplicatedJobs: []jobset.ReplicatedJob{{
				Name: replicatedJob, Replicas: 1,
				Template: batchv1.JobTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: attemptLabels(s, stage, number)},
					Spec:       jobSpec(workers, template, queued(s.run)),
				},
			}},
			// Rank 0 must be found before it is ready.
			Network: &jobset.Network{
				EnableDNSHostnames: new(true), PublishNotReadyAddresses: new(true), Subdomain: JobName(s.run.Name, stage, number),
			},
			SuccessPolicy: &jobset.SuccessPolicy{Operator: jobset.OperatorAll},
			FailurePolicy: &jobset.FailurePolicy{MaxRestarts: 0},
			StartupPolicy: &jobset.StartupPolicy{StartupPolicyOrder: jobset.AnyOrder},
		},
	}
	if s.config.Spec.Accelerator.Type == v1alpha1.TPU {
		set.Annotations[jobset.ExclusiveKey] = gkeNodePool
	}
	return set
}

// groupEnvironment tells a worker of several who it is and where rank 0 is.
func groupEnvironment(run, stage string, number, workers int32) []corev1.EnvVar {
	return []corev1.EnvVar{
		{Name: contract.EnvWorkers, Value: strconv.Itoa(int(workers))},
		{Name: contract.EnvRank, ValueFrom: completionIndex()},
		{Name: contract.EnvCoordinator, Value: workerHost(JobName(run, stage, number), 0) + ":" + strconv.Itoa(contract.CollectivePort)},
	}
}

// completionIndex of a pod is its rank.
func completionIndex() *corev1.EnvVarSource {
	return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
		APIVersion: "v1", FieldPath: "metadata.annotations['" + batchv1.JobCompletionIndexAnnotation + "']",
	}}
}

// workerHost is the DNS name of the pod of a rank, in its namespace; name is that of the JobSet, and of its subdomain.
func workerHost(name string, rank int) string {
	return name + "-" + replicatedJob + "-0-" + strconv.Itoa(rank) + "." + name
}

// jobSetMissing waits for an administrator; once JobSet is there the run goes on by itself.
func jobSetMissing(workers int32) error {
	return blockf(reasonJobSetMissing, "%d workers need JobSet, which this cluster does not have: install it, such as by kubectl apply --server-side -f https://github.com/kubernetes-sigs/jobset/releases/download/v0.12.0/manifests.yaml; or suspend the run and set workers to 1", workers)
}

// jobSetInstalled asks the API server.
func jobSetInstalled(mapper meta.RESTMapper) (bool, error) {
	_, err := mapper.RESTMapping(schema.GroupKind{Group: jobSetKind.Group, Kind: jobSetKind.Kind}, jobSetKind.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, err
}

// jobSetWatch watches JobSets from when the cluster has them: a watch of a kind that does not exist would stop the manager.
type jobSetWatch struct {
	manager    ctrl.Manager
	controller controller.Controller
	installed  func() // called once JobSets are in the cache
}

// NeedLeaderElection is true: only the leader reconciles.
func (w *jobSetWatch) NeedLeaderElection() bool { return true }

// Start returns once JobSets are watched, or the manager ends.
func (w *jobSetWatch) Start(ctx context.Context) error {
	log := w.manager.GetLogger()
	err := wait.PollUntilContextCancel(ctx, lookForJobSet, true, func(context.Context) (bool, error) {
		found, err := jobSetInstalled(w.manager.GetRESTMapper())
		if err != nil {
			log.Error(err, "looking for JobSet")
		}
		return found, nil
	})
	if err != nil {
		return nil //nolint:nilerr // the manager ends
	}
	of := handler.TypedEnqueueRequestForOwner[client.Object](w.manager.GetScheme(), w.manager.GetRESTMapper(),
		&v1alpha1.SimCLRRun{}, handler.OnlyControllerOwner())
	if err := w.controller.Watch(source.Kind[client.Object](w.manager.GetCache(), &jobset.JobSet{}, of)); err != nil {
		return err
	}
	if _, err := w.manager.GetCache().GetInformer(ctx, &jobset.JobSet{}); err != nil { // waits until it has synced
		return err
	}
	log.Info("JobSet is installed: runs may have several workers")
	w.installed()
	return nil
}
