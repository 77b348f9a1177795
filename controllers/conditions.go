package controllers

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Reasons of the conditions; docs/operator.md explains each. Complete, Progressing and ResourcesFit are
// good when True; Failed and Stalled are bad when True; Suspended is as the user wants it.
const (
	reasonInProgress = "InProgress" // Complete, Failed: False
	reasonAsExpected = "AsExpected" // Stalled: False

	reasonComplete = "AllStagesComplete" // Complete: True; Progressing: False

	// Failed: True, and Progressing: False.
	reasonFailed            = "Failed"
	reasonInvalidSpec       = "InvalidSpec"
	reasonUserError         = "UserError"
	reasonDiverged          = "Diverged"
	reasonRestartsExhausted = "RestartsExhausted"
	reasonConfigLost        = "ConfigLost"
	reasonDeadlineExceeded  = "DeadlineExceeded" // also Progressing: False while trainers save

	reasonSuspended    = "Suspended"    // Suspended: True; Progressing: False
	reasonSuspending   = "Suspending"   // Suspended: False; Progressing: False
	reasonNotSuspended = "NotSuspended" // Suspended: False

	// Progressing.
	reasonStarting              = "Starting"              // True
	reasonTraining              = "Training"              // True
	reasonStopping              = "Stopping"              // True; False while an object of a deleted run of this name goes
	reasonBackingOff            = "BackingOff"            // True
	reasonProgressUnreachable   = "ProgressUnreachable"   // Unknown
	reasonImagePullBackOff      = "ImagePullBackOff"      // False
	reasonContainerConfigError  = "ContainerConfigError"  // False
	reasonVolumeNotReady        = "VolumeNotReady"        // False
	reasonSandboxNotReady       = "SandboxNotReady"       // False
	reasonSchedulingGated       = "SchedulingGated"       // False
	reasonQueued                = "Queued"                // False; Stalled: True where Kueue waits for a person
	reasonUnschedulable         = "Unschedulable"         // False; ResourcesFit: False
	reasonPodCreationFailed     = "PodCreationFailed"     // False
	reasonNodeUnreachable       = "NodeUnreachable"       // False
	reasonInvalidTemplate       = "InvalidTemplate"       // False
	reasonObjectRefused         = "ObjectRefused"         // False
	reasonNameTaken             = "NameTaken"             // False
	reasonOutputClaimNotFound   = "OutputClaimNotFound"   // False
	reasonDatasetClaimNotFound  = "DatasetClaimNotFound"  // False
	reasonEncoderSourceNotFound = "EncoderSourceNotFound" // False
	reasonEncoderSourceNotReady = "EncoderSourceNotReady" // False
	reasonJobSetMissing         = "JobSetMissing"         // False
	reasonClaimNotShared        = "ClaimNotShared"        // False

	reasonScheduled                = "Scheduled"                // ResourcesFit: True
	reasonInsufficientDeviceMemory = "InsufficientDeviceMemory" // ResourcesFit: False; Progressing: False

	reasonProgressDeadlineExceeded = "ProgressDeadlineExceeded" // Stalled: True
)

// set notes a condition; all are written to the status at once, so that one that is set twice while
// reconciling does not change its transition time.
func (s *scope) set(kind string, status metav1.ConditionStatus, reason, message string) {
	s.wanted[kind] = metav1.Condition{
		Type: kind, Status: status, Reason: reason, Message: clean(message, maxText),
		ObservedGeneration: s.run.Generation, LastTransitionTime: metav1.NewTime(s.now),
	}
}

// setDefaults notes what holds where no sub-reconciler said otherwise.
func (s *scope) setDefaults() {
	for kind, d := range map[string]metav1.Condition{
		v1alpha1.ConditionComplete:  {Status: metav1.ConditionFalse, Reason: reasonInProgress},
		v1alpha1.ConditionFailed:    {Status: metav1.ConditionFalse, Reason: reasonInProgress},
		v1alpha1.ConditionSuspended: {Status: metav1.ConditionFalse, Reason: reasonNotSuspended},
		v1alpha1.ConditionStalled:   {Status: metav1.ConditionFalse, Reason: reasonAsExpected},
	} {
		if _, found := s.wanted[kind]; !found {
			s.set(kind, d.Status, d.Reason, d.Message)
		}
	}
}

func (s *scope) applyConditions() {
	for _, kind := range slices.Sorted(maps.Keys(s.wanted)) {
		meta.SetStatusCondition(&s.run.Status.Conditions, s.wanted[kind])
	}
}

// has says whether the status, as it was loaded, has a condition.
func (s *scope) has(kind string, status metav1.ConditionStatus, reason string) bool {
	c := meta.FindStatusCondition(s.before.Status.Conditions, kind)
	return c != nil && c.Status == status && c.Reason == reason
}

// finished says whether the run has ended, for better or worse.
func finished(run *v1alpha1.SimCLRRun) bool {
	return meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionComplete) ||
		meta.IsStatusConditionTrue(run.Status.Conditions, v1alpha1.ConditionFailed)
}
