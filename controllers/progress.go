package controllers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// progress takes over what the poller heard of the attempt that runs.
func (r *Reconciler) progress(_ context.Context, s *scope) error {
	key := client.ObjectKeyFromObject(s.run)
	if s.running == nil {
		r.Poller.Forget(key)
		return nil
	}
	st, pod := s.stage(s.running.stage), s.running.pod()
	if pod.Status.PodIP != "" {
		r.Poller.Watch(key, Target{
			Stage: st.Name, Attempt: s.running.number,
			URL: "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(r.ProgressPort)) + "/progress",
		})
	}
	sample, due := r.Poller.Take(key)
	if !due && s.starts(pod) {
		return nil
	}
	s.fit(s.running)
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonTraining,
		fmt.Sprintf("stage %s: attempt %d runs on %s", st.Name, s.running.number, s.running.nodes()))
	switch {
	case due && sample.Silence != "":
		s.unreachable(st, sample.Silence)
	case due:
		s.noteProgress(st, &sample.Progress)
		s.stalled(st, &sample.Progress)
		return nil
	case s.has(v1alpha1.ConditionProgressing, metav1.ConditionUnknown, reasonProgressUnreachable):
		delete(s.wanted, v1alpha1.ConditionProgressing) // nothing new was heard
	}
	s.stillStalled()
	return nil
}

// firstAnswer is how long a trainer may take to tell its progress before Training is written without it. It is longer than the
// poller's patience, so that of one that cannot be reached both is written at once.
const firstAnswer = 50 * time.Second

// starts says whether a trainer has only just started: that it trains is written with the first that it tells.
func (s *scope) starts(pod *corev1.Pod) bool {
	if pod.Status.PodIP == "" || !s.has(v1alpha1.ConditionProgressing, metav1.ConditionTrue, reasonStarting) {
		return false
	}
	ran, _ := s.ran(pod)
	if ran >= firstAnswer {
		return false
	}
	s.requeue(firstAnswer - ran)
	s.justStarted = true
	return true
}

// onlyStarts says whether all that is to be written is which pod has just started.
func (s *scope) onlyStarts() bool {
	if !s.justStarted {
		return false
	}
	status := s.run.Status
	status.ActivePod, status.ActiveSecondsBefore = s.before.Status.ActivePod, s.before.Status.ActiveSecondsBefore
	return equality.Semantic.DeepEqual(s.before.Status, status)
}

func (s *scope) unreachable(st *v1alpha1.StageStatus, why string) {
	message := fmt.Sprintf("stage %s: training goes on, but the trainer does not tell its progress; does a NetworkPolicy keep the manager from port %d? %s",
		st.Name, contract.HTTPPort, why)
	if !s.has(v1alpha1.ConditionProgressing, metav1.ConditionUnknown, reasonProgressUnreachable) {
		s.warn(reasonProgressUnreachable, message)
	}
	s.set(v1alpha1.ConditionProgressing, metav1.ConditionUnknown, reasonProgressUnreachable, message)
}

// noteProgress writes a checked answer to the status.
func (s *scope) noteProgress(st *v1alpha1.StageStatus, p *contract.Progress) {
	if st.Progress == nil && p.ResumedFrom != nil { // the first that is heard of this attempt
		s.tell("StageResumed", fmt.Sprintf("stage %s, attempt %d: goes on from step %d", st.Name, p.Attempt, *p.ResumedFrom))
	}
	st.Progress = &v1alpha1.StageProgress{
		Phase: p.Phase, Epoch: p.Epoch, Step: p.Step, TotalSteps: p.TotalSteps, Percent: percentOf(p),
		Loss: decimal(p.Loss, 4), ContrastiveAccuracy: decimal(p.ContrastiveAccuracy, 2),
		ImagesPerSecond:    decimal(p.ImagesPerSecond, 1),
		ZStandardDeviation: decimal(p.ZStandardDeviation, 4), ZEffectiveRank: decimal(p.ZEffectiveRank, 1),
		KNNTop1: decimal(p.KNNTop1, 2), KNNEpoch: p.KNNEpoch,
	}
	s.run.Status.ETA = ""
	if p.ETASeconds > 0 {
		s.run.Status.ETA = duration.HumanDuration(time.Duration(p.ETASeconds * float64(time.Second)))
	}
	if p.CheckpointStep > checkpointStep(st) {
		s.noteCheckpoint(st, p.CheckpointStep)
	}
	if st.Checkpoint != nil {
		if saved, err := time.Parse(time.RFC3339, p.CheckpointSavedAt); err == nil {
			st.Checkpoint.SavedAt = &metav1.Time{Time: saved.Truncate(time.Second)}
		}
		st.Checkpoint.ResumedFrom = p.ResumedFrom
	}
	for _, warning := range p.Warnings {
		s.warn("TrainerWarning", fmt.Sprintf("stage %s: %s", st.Name, warning))
	}
}

// maxETA bounds an estimate of others.
const maxETA = 10 * 365 * 24 * 3600

// checkProgress refuses what a trainer cannot mean, and bounds the rest.
func checkProgress(p *contract.Progress, target Target) error {
	switch {
	case p.SchemaVersion != contract.Version:
		return fmt.Errorf("/progress has schemaVersion %d, not %d", p.SchemaVersion, contract.Version)
	case p.Stage != target.Stage || p.Attempt != target.Attempt:
		return errors.New("/progress is of another stage or attempt")
	case p.Epoch < 0, p.Step < 0, p.TotalSteps < 0, p.Done < 0, p.Total < 0, p.CheckpointStep < 0, p.KNNEpoch < 0,
		p.ResumedFrom != nil && *p.ResumedFrom < 0:
		return errors.New("/progress has a negative count")
	}
	for _, v := range []float64{p.Loss, p.ContrastiveAccuracy, p.ImagesPerSecond, p.ETASeconds, p.ZStandardDeviation, p.ZEffectiveRank, p.KNNTop1} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("/progress has a value that is not a number")
		}
	}
	p.Phase = clean(p.Phase, 32)
	p.ETASeconds = min(p.ETASeconds, maxETA)
	p.Warnings = cleanWarnings(p.Warnings)
	return nil
}

// percentOf a stage's steps. What is downloaded and compiled before the first one is not the stage's work.
func percentOf(p *contract.Progress) int32 {
	if p.TotalSteps == 0 {
		return 0
	}
	return int32(100 * float64(min(p.Step, p.TotalSteps)) / float64(p.TotalSteps))
}

// decimal is a number for a status; "" for 0, which stands for "not known", and for absurd ones.
func decimal(v float64, digits int) string {
	if v == 0 || math.Abs(v) > 1e12 {
		return ""
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}
