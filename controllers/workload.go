package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What is read of a Workload is the same in Kueue's API versions v1beta1 and v1beta2, so the one that the server prefers is read,
// without Kueue's Go types.
var workloadKind = schema.GroupKind{Group: "kueue.x-k8s.io", Kind: "Workload"}

const (
	labelJobUID = "kueue.x-k8s.io/job-uid" // of a Workload: what it was made for

	// Conditions of a Workload, and reasons.
	workloadQuotaReserved = "QuotaReserved"
	workloadAdmitted      = "Admitted"
	workloadEvicted       = "Evicted"
	workloadInadmissible  = "Inadmissible" // QuotaReserved: False
)

// workload is what the operator reads of a Workload of Kueue's.
type workload struct {
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Active *bool `json:"active"`
	} `json:"spec"`
	Status struct {
		Conditions      []metav1.Condition `json:"conditions"`
		AdmissionChecks []admissionCheck   `json:"admissionChecks"`
	} `json:"status"`
}

type admissionCheck struct{ Name, State, Message string }

// +kubebuilder:rbac:groups=kueue.x-k8s.io,resources=workloads,verbs=list

// whyHeld is why an attempt waits, in Kueue's own words where it has any.
func (r *Reconciler) whyHeld(ctx context.Context, s *scope, a *attempt) (waiting, error) {
	queue := a.queue()
	if queue == "" {
		return waiting{reason: reasonQueued, message: fmt.Sprintf(
			"%s %s is suspended, by Kueue or by somebody else than the operator, and goes on when its spec.suspend is false", a.kind(), a.object.GetName())}, nil
	}
	where := fmt.Sprintf("attempt %d waits for quota in queue %s", a.number, queue)
	w, err := r.workloadOf(ctx, s, a)
	switch {
	case meta.IsNoMatchError(err):
		return waiting{reason: reasonQueued, stalled: true, message: where +
			": Kueue is not installed: install it, or remove the label " + LabelQueue + ", suspend the run and resume it"}, nil
	case err != nil:
		return waiting{}, err
	case w == nil && s.now.Sub(a.object.GetCreationTimestamp().Time) < quietTime:
		return waiting{reason: reasonQueued, message: where}, nil
	}
	if w == nil {
		return waiting{reason: reasonQueued, message: where +
			": Kueue has made no Workload of it: does it run, and does its configuration integrate Jobs, and this namespace?"}, nil
	}
	why := w.why()
	why.message = where + why.message
	return why, nil
}

// why a Workload waits, to follow the name of its queue.
func (w *workload) why() waiting {
	why := waiting{reason: reasonQueued}
	evicted := meta.FindStatusCondition(w.Status.Conditions, workloadEvicted)
	stopped := evicted != nil && evicted.Status == metav1.ConditionTrue
	if stopped {
		why.message = fmt.Sprintf("; it was stopped: %s: %s", evicted.Reason, evicted.Message)
	}
	quota := meta.FindStatusCondition(w.Status.Conditions, workloadQuotaReserved)
	switch {
	case w.Spec.Active != nil && !*w.Spec.Active:
		why.message += fmt.Sprintf("; Workload %s is deactivated: set its spec.active to true", w.Name)
		why.stalled = true
	case quota == nil: // Kueue has not come to it yet
	case quota.Status != metav1.ConditionTrue:
		why.stalled = quota.Reason == workloadInadmissible
		if !stopped || quota.Message != evicted.Message {
			why.message += ": " + quota.Message
		}
	case stopped: // it has its quota until its pods are gone
	case meta.IsStatusConditionTrue(w.Status.Conditions, workloadAdmitted):
		why.message += "; it is admitted and about to start"
	default:
		why.message += "; it has quota and waits for admission checks" + w.pendingChecks()
	}
	return why
}

func (w *workload) pendingChecks() string {
	text := ""
	for _, check := range w.Status.AdmissionChecks {
		if check.State != "Ready" {
			text += fmt.Sprintf(": %s %s %s", check.Name, check.State, check.Message)
		}
	}
	return text
}

// workloadOf reads an attempt's Workload past the cache, for Kueue need not be there; nil where there is none yet.
func (r *Reconciler) workloadOf(ctx context.Context, s *scope, a *attempt) (*workload, error) {
	mapping, err := r.RESTMapper().RESTMapping(workloadKind)
	if err != nil {
		return nil, err
	}
	var list unstructured.UnstructuredList
	list.SetGroupVersionKind(mapping.GroupVersionKind)
	err = r.APIReader.List(ctx, &list, client.InNamespace(s.run.Namespace), client.MatchingLabels{labelJobUID: string(a.object.GetUID())}, client.Limit(1))
	switch {
	case apierrors.IsNotFound(err):
		return nil, &meta.NoKindMatchError{GroupKind: workloadKind}
	case err != nil:
		return nil, err
	case len(list.Items) == 0:
		return nil, nil
	}
	var w workload
	return &w, runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[0].Object, &w)
}
