package controllers

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// summarize computes the flat fields, which the columns of kubectl get show, from the rest.
func (s *scope) summarize() {
	s.applyConditions()
	st := &s.run.Status
	st.Restarts = 0
	for i := range st.Stages {
		st.Restarts += st.Stages[i].ChargedRestarts
	}
	st.Message = mattersMost(st.Conditions)
	current := s.current()
	st.Stage, st.Progress, st.Loss, st.ImagesPerSecond = "", "", "", ""
	if current != nil {
		st.Stage = current.Name
		if p := current.Progress; p != nil {
			st.Progress, st.Loss, st.ImagesPerSecond = shortProgress(p), p.Loss, p.ImagesPerSecond
		}
	}
	switch {
	case meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionFailed):
		st.Stage = v1alpha1.ConditionFailed
	case meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionComplete):
		st.Stage, st.Progress = v1alpha1.ConditionComplete, "100%"
		if st.Results != nil {
			st.Loss = st.Results.PretrainingLoss
		}
	case meta.IsStatusConditionTrue(st.Conditions, v1alpha1.ConditionSuspended):
		st.Stage = v1alpha1.ConditionSuspended
	}
	if current == nil || current.Progress == nil || s.running == nil {
		st.ETA, st.ImagesPerSecond = "", ""
	}
}

// shortProgress is the percentage while steps are done, and before and after them the phase.
func shortProgress(p *v1alpha1.StageProgress) string {
	if p.Phase == "" || p.Phase == "Training" {
		return fmt.Sprintf("%d%%", p.Percent)
	}
	return clean(p.Phase, maxProgress)
}

// mattersMost is the message of the condition that a person should read first.
func mattersMost(conditions []metav1.Condition) string {
	for _, c := range []struct {
		kind   string
		status metav1.ConditionStatus
	}{
		{v1alpha1.ConditionFailed, metav1.ConditionTrue},
		{v1alpha1.ConditionComplete, metav1.ConditionTrue},
		{v1alpha1.ConditionSuspended, metav1.ConditionTrue},
		{v1alpha1.ConditionStalled, metav1.ConditionTrue},
		{v1alpha1.ConditionProgressing, metav1.ConditionFalse},
		{v1alpha1.ConditionProgressing, metav1.ConditionUnknown},
		{v1alpha1.ConditionProgressing, metav1.ConditionTrue},
	} {
		if meta.IsStatusConditionPresentAndEqual(conditions, c.kind, c.status) {
			return meta.FindStatusCondition(conditions, c.kind).Message
		}
	}
	return ""
}
