package controllers

import "github.com/simclr-operator/simclr-operator/api/v1alpha1"

// ControllerName is this operator in spec.managedBy, as Jobs have it (KEP-4368).
const ControllerName = "training.simclr.dev/simclr-operator"

// managed says whether a run is this operator's: of another's it neither makes, writes nor deletes anything.
func managed(run *v1alpha1.SimCLRRun) bool {
	return run.Spec.ManagedBy == "" || run.Spec.ManagedBy == ControllerName
}
