package controllers

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// finishStage writes down what a stage reached, and deletes its older attempts; the last one stays, for
// its logs and so that a lost status can be read again.
func (r *Reconciler) finishStage(ctx context.Context, s *scope, st *v1alpha1.StageStatus, a *attempt, m *contract.TerminationMessage) error {
	for i := range s.attempts {
		older := &s.attempts[i]
		if older.stage != st.Name || older.number >= a.number {
			continue
		}
		if err := r.deleteWorkload(ctx, older, metav1.DeletePropagationBackground); err != nil {
			return err
		}
	}
	s.hadOutput = true
	finish := metav1.NewTime(endOf(a, s.now))
	st.State, st.FinishTime, st.Results = v1alpha1.StageComplete, &finish, m.Results
	if st.Progress != nil {
		st.Progress.Percent = 100
		if m.Step > 0 {
			st.Progress.Step = m.Step
		}
	}
	s.tell("StageComplete", fmt.Sprintf("stage %s is complete%s", st.Name, inWords(m.Results)))
	for _, warning := range m.Warnings {
		s.warn("TrainerWarning", fmt.Sprintf("stage %s: %s", st.Name, warning))
	}
	if st.Name == v1alpha1.StagePretrain {
		s.run.Status.Encoder = &v1alpha1.EncoderStatus{
			URI:    claimURI(s.run.Status.OutputClaim, string(s.run.UID), contract.EncoderDir),
			SHA256: m.EncoderSHA256,
		}
	}
	return nil
}

// release deletes the Jobs of a stage that is complete, and whose result is stored, where a sidecar keeps
// a pod alive, or where a queue stopped it in its last moment and would start it again.
func (r *Reconciler) release(ctx context.Context, s *scope, st *v1alpha1.StageStatus) error {
	for i := range s.attempts {
		a := &s.attempts[i]
		if a.stage != st.Name || !a.live() && !a.held() {
			continue
		}
		if err := r.deleteWorkload(ctx, a, metav1.DeletePropagationForeground); err != nil {
			return err
		}
	}
	return nil
}

// results merges what the stages reached.
func (r *Reconciler) results(_ context.Context, s *scope) error {
	var all v1alpha1.Results
	found := false
	for i := range s.run.Status.Stages {
		stage := s.run.Status.Stages[i].Results
		if stage == nil {
			continue
		}
		found = true
		all.Merge(*stage)
	}
	if found {
		s.run.Status.Results = &all
	}
	return nil
}

func inWords(r *v1alpha1.Results) string {
	switch {
	case r == nil:
		return ""
	case r.LinearTop1 != "":
		return ": linear top-1 " + r.LinearTop1 + "%"
	case r.KNNTop1 != "":
		return ": kNN top-1 " + r.KNNTop1 + "%"
	case len(r.Finetune) > 0:
		return ": top-1 " + r.Finetune[0].Top1 + "%"
	}
	return ""
}

// noteMessage takes over what a termination message says of checkpoints.
func (s *scope) noteMessage(st *v1alpha1.StageStatus, m *contract.TerminationMessage) {
	if m == nil {
		return
	}
	if m.CheckpointStep > checkpointStep(st) {
		s.noteCheckpoint(st, m.CheckpointStep)
	}
	if st.Checkpoint != nil && m.ResumedFrom != nil {
		st.Checkpoint.ResumedFrom = m.ResumedFrom
	}
}

// noteCheckpoint takes over a newer checkpoint, which ends a row of restarts without one.
func (s *scope) noteCheckpoint(st *v1alpha1.StageStatus, step int64) {
	st.UnchargedInRow = 0
	if st.Checkpoint == nil {
		st.Checkpoint = &v1alpha1.CheckpointStatus{}
	}
	st.Checkpoint.Step = step
	if s.run.Status.OutputClaim != "" {
		st.Checkpoint.URI = claimURI(s.run.Status.OutputClaim, string(s.run.UID), contract.CheckpointsDir, st.Name)
	}
}

func checkpointStep(st *v1alpha1.StageStatus) int64 {
	if st.Checkpoint == nil {
		return 0
	}
	return st.Checkpoint.Step
}
