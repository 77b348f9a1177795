package controllers

import (
	"context"
	"maps"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// workload is a stage's next attempt, not made yet: a Job, or a JobSet where several workers train together. It is made once and
// never updated; it makes no pod again after a failure, because the restart budget is the operator's.
func (r *Reconciler) workload(ctx context.Context, s *scope, stage string, number int32, l ledger) (*attempt, error) {
	workers := s.workersOf(stage)
	template, err := r.podTemplate(s, stage, number, l)
	if err != nil {
		return nil, err
	}
	if workers == 1 {
		return new(newAttempt(job(s, stage, number, l, template), nil)), nil
	}
	if !r.jobSets.Load() {
		return nil, jobSetMissing(workers)
	}
	if err := r.makeKey(ctx, s); err != nil {
		return nil, err
	}
	return new(newSetAttempt(jobSet(s, stage, number, l, template), nil, nil)), nil
}

// workersOf is how many pods a stage has. Those after pretraining have one, and so has one that takes an encoder over.
func (s *scope) workersOf(stage string) int32 {
	if stage != v1alpha1.StagePretrain || s.config.Spec.Pretraining.From != nil {
		return 1
	}
	return max(1, s.config.Status.Workers) // a run of an older operator has none
}

func job(s *scope, stage string, number int32, l ledger, template corev1.PodTemplateSpec) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: workloadMeta(s, stage, number, l),
		Spec:       jobSpec(1, template, queued(s.run)),
	}
	job.Spec.Suspend = bornSuspended(s.run)
	return job
}

func workloadMeta(s *scope, stage string, number int32, l ledger) metav1.ObjectMeta {
	labels, annotations := attemptLabels(s, stage, number), l.annotations()
	maps.Copy(labels, queueLabels(s.run))
	annotations[annotationConfigHash] = s.run.Status.ConfigHash
	annotations[annotationContractVersion] = strconv.Itoa(int(s.run.Status.ContractVersion))
	annotations[annotationActiveSeconds] = strconv.FormatInt(s.run.Status.ActiveSeconds, 10)
	return metav1.ObjectMeta{
		Name:        JobName(s.run.Name, stage, number),
		Namespace:   s.run.Namespace,
		Labels:      labels,
		Annotations: annotations,
		OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(s.run, v1alpha1.GroupVersion.WithKind("SimCLRRun")),
		},
	}
}

func jobSpec(workers int32, template corev1.PodTemplateSpec, queued bool) batchv1.JobSpec {
	return batchv1.JobSpec{
		Parallelism:          new(workers),
		Completions:          new(workers),
		CompletionMode:       new(batchv1.IndexedCompletion),
		BackoffLimit:         new(int32(0)),
		PodReplacementPolicy: new(batchv1.Failed),
		PodFailurePolicy:     podFailurePolicy(workers, queued),
		Template:             template,
	}
}

// podFailurePolicy: a user error and divergence fail the Job. A saved exit at SIGTERM and a disruption are no failures of one worker;
// of several they end the Job, since a lone pod cannot rejoin those that go on. Where a queue stops all of them, they all save and exit
// with 143, and that must not end it: the Job controller asks this policy also of pods that a suspension deleted. Everything else
// fails it by its backoffLimit of 0.
func podFailurePolicy(workers int32, queued bool) *batchv1.PodFailurePolicy {
	disrupted, saved := batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionIgnore
	if workers > 1 {
		disrupted = batchv1.PodFailurePolicyActionFailJob
		if !queued {
			saved = disrupted
		}
	}
	onExit := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new(ContainerName), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
		}}
	}
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		onExit(batchv1.PodFailurePolicyActionFailJob, contract.ExitUserError, contract.ExitDiverged),
		onExit(saved, contract.ExitTerminate),
		{Action: disrupted, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		}},
	}}
}

func attemptLabels(s *scope, stage string, number int32) map[string]string {
	labels := map[string]string{LabelStage: stage, LabelAttempt: strconv.Itoa(int(number))}
	maps.Copy(labels, runLabels(s.run))
	return labels
}
