package controllers

import (
	"fmt"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Labels of everything that belongs to a run.
const (
	LabelRun       = "training.simclr.dev/run"
	LabelStage     = "training.simclr.dev/stage"
	LabelAttempt   = "training.simclr.dev/attempt"
	labelManagedBy = "app.kubernetes.io/managed-by"

	// FieldManager of server-side apply, and the value of the managed-by label.
	FieldManager = "simclr-operator"

	// ContainerName of the trainer in its pods.
	ContainerName = "trainer"
)

// JobName is the deterministic name of a stage's attempt, so that making it twice is making it once.
func JobName(run, stage string, attempt int32) string {
	return fmt.Sprintf("%s-%s-%d", run, stage, attempt)
}

// ConfigMapName is the name of the resolved run with a hash.
func ConfigMapName(run, hash string) string {
	return run + "-" + hash[:min(10, len(hash))]
}

// ClaimName is the name of the output claim that the operator makes for a run.
func ClaimName(run string) string { return run + "-output" }

func runLabels(run *v1alpha1.SimCLRRun) map[string]string {
	return map[string]string{LabelRun: run.Name, labelManagedBy: FieldManager}
}

func controlledBy(object metav1.Object, run *v1alpha1.SimCLRRun) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.UID == run.UID
}

// ofOlderRun says whether an object belongs to a deleted run of this name: the garbage collector has not
// reached it yet.
func ofOlderRun(object metav1.Object, run *v1alpha1.SimCLRRun) bool {
	owner := metav1.GetControllerOf(object)
	return owner != nil && owner.Kind == "SimCLRRun" && owner.Name == run.Name && owner.UID != run.UID
}

// claimURI is the URI of a directory on a claim.
func claimURI(claim string, path ...string) string {
	return "pvc://" + strings.Join(append([]string{claim}, path...), "/")
}

// claimOf is the claim of a pvc://CLAIM/PATH URI, "" for anything else.
func claimOf(uri string) string {
	rest, found := strings.CutPrefix(uri, "pvc://")
	if !found {
		return ""
	}
	claim, _, _ := strings.Cut(rest, "/")
	return claim
}

// parseCount reads a number that the operator wrote to a label or an annotation; 0 for anything else.
func parseCount(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
