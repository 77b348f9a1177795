package controllers

import (
	"maps"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// job is one attempt at a stage. It is made once and never updated; it makes no second pod after a
// failure, because the restart budget is the operator's.
func (r *Reconciler) job(s *scope, stage string, number int32, l ledger) (*batchv1.Job, error) {
	pod, err := r.podTemplate(s, stage, number, l)
	if err != nil {
		return nil, err
	}
	annotations := l.annotations()
	annotations[annotationConfigHash] = s.run.Status.ConfigHash
	annotations[annotationContractVersion] = strconv.Itoa(int(s.run.Status.ContractVersion))
	annotations[annotationActiveSeconds] = strconv.FormatInt(s.run.Status.ActiveSeconds, 10)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Name:        JobName(s.run.Name, stage, number),
			Namespace:   s.run.Namespace,
			Labels:      attemptLabels(s, stage, number),
			Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(s.run, v1alpha1.GroupVersion.WithKind("SimCLRRun")),
			},
		},
		Spec: batchv1.JobSpec{
			Parallelism:          new(int32(1)),
			Completions:          new(int32(1)),
			CompletionMode:       new(batchv1.IndexedCompletion),
			BackoffLimit:         new(int32(0)),
			PodReplacementPolicy: new(batchv1.Failed),
			PodFailurePolicy:     podFailurePolicy(),
			Template:             pod,
		},
	}, nil
}

// podFailurePolicy: a user error and divergence fail the Job; a saved exit at SIGTERM and a disruption
// are no failures of it. Everything else fails it by its backoffLimit of 0.
func podFailurePolicy() *batchv1.PodFailurePolicy {
	onExit := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
			ContainerName: new(ContainerName), Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
		}}
	}
	return &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
		onExit(batchv1.PodFailurePolicyActionFailJob, contract.ExitUserError, contract.ExitDiverged),
		onExit(batchv1.PodFailurePolicyActionIgnore, contract.ExitTerminate),
		{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		}},
	}}
}

func attemptLabels(s *scope, stage string, number int32) map[string]string {
	labels := map[string]string{LabelStage: stage, LabelAttempt: strconv.Itoa(int(number))}
	maps.Copy(labels, runLabels(s.run))
	return labels
}
