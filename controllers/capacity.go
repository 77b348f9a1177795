package controllers

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// capacity keeps a run that cannot fit its accelerator from taking one: the batch is fixed, but the accelerator may be changed while
// the run is suspended, so it waits for a person instead of failing. What is predicted is what the operator's own trainer needs;
// with another image nothing is known. A stage that has begun evidently fits, unless its accelerator was changed.
func (s *scope) capacity(st *v1alpha1.StageStatus) error {
	if st.Name != v1alpha1.StagePretrain || s.config.Spec.Template.Image != "" {
		return nil
	}
	need, err := plan.Accelerate(&s.config.Spec)
	if need == nil || err != nil {
		return nil //nolint:nilerr // what is wrong with the spec is the trainer's to say
	}
	if err := need.Check(); err != nil {
		message := "stage " + st.Name + ": " + err.Error()
		s.set(v1alpha1.ConditionResourcesFit, metav1.ConditionFalse, reasonInsufficientDeviceMemory, message)
		return blockf(reasonInsufficientDeviceMemory, "%s", message)
	}
	return nil
}
