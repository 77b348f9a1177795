package controllers

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// annotationCounts and a stage's name are an annotation of the ConfigMap with the stage's counters, so that
// they outlive the Job or JobSet, which a suspension deletes, and the status.
const annotationCounts = "training.simclr.dev/counts."

type counts struct {
	Attempts int32 `json:"attempts"`
	Charged  int32 `json:"charged,omitempty"`
	Active   int64 `json:"active,omitempty"` // seconds, of the run before this attempt
}

// noteCounts writes an attempt's number to the ConfigMap: before the Job or JobSet of any but a stage's first attempt is made,
// and before the operator deletes one.
func (r *Reconciler) noteCounts(ctx context.Context, s *scope, stage string, c counts) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{annotationCounts + stage: string(text)},
	}})
	if err != nil {
		return err
	}
	stored := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: s.run.Namespace, Name: ConfigMapName(s.run.Name, s.run.Status.ConfigHash),
	}}
	return r.Patch(ctx, stored, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(FieldManager))
}

// recallStatus reads what a lost status said of the configuration and the counters.
func (r *Reconciler) recallStatus(ctx context.Context, s *scope) error {
	if s.run.Status.ConfigHash != "" {
		return nil
	}
	var stored corev1.ConfigMapList
	if err := r.List(ctx, &stored, ofRun(s.run)...); err != nil {
		return err
	}
	ours := slices.DeleteFunc(stored.Items, func(m corev1.ConfigMap) bool { return !controlledBy(&m, s.run) })
	if !s.recallFromConfigs(ours) {
		s.recallFromWorkloads()
	}
	return nil
}

// recallFromConfigs is false where the configuration is lost or damaged.
func (s *scope) recallFromConfigs(ours []corev1.ConfigMap) bool {
	if len(ours) == 0 {
		return false
	}
	newest := slices.MaxFunc(ours, func(a, b corev1.ConfigMap) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	config, err := parseConfig(newest.Data[runKey])
	if err != nil {
		return false
	}
	st := &s.run.Status
	st.ConfigHash, st.Image, st.Threads, st.ContractVersion, st.Workers =
		hashOf(newest.Data[runKey]), config.Status.Image, config.Status.Threads, config.Status.ContractVersion, config.Status.Workers
	for _, name := range config.Spec.StageNames() {
		stage := s.stage(name)
		for i := range ours {
			var c counts
			if json.Unmarshal([]byte(ours[i].Annotations[annotationCounts+name]), &c) == nil && c.Attempts > stage.Attempts {
				stage.Attempts, stage.ChargedRestarts, stage.Workload = c.Attempts, c.Charged, JobName(s.run.Name, name, c.Attempts)
				st.ActiveSeconds = max(st.ActiveSeconds, c.Active)
			}
		}
	}
	return true
}

// recallFromWorkloads finds a lost status' configuration in the newest Job or JobSet.
func (s *scope) recallFromWorkloads() {
	st := &s.run.Status
	newest := s.newestOfAll()
	if newest == nil {
		return
	}
	notes := newest.object.GetAnnotations()
	st.ConfigHash = notes[annotationConfigHash]
	st.ContractVersion = int32(parseCount(notes[annotationContractVersion]))
	for _, c := range newest.template().Spec.Containers {
		if c.Name != ContainerName {
			continue
		}
		st.Image = c.Image
		for _, e := range c.Env {
			if e.Name == contract.EnvThreads {
				st.Threads = int32(parseCount(e.Value))
			}
		}
	}
}
