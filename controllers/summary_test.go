package controllers

import (
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestSummary(t *testing.T) {
	s := newScope(&v1alpha1.SimCLRRun{}, time.Unix(0, 0))
	st := s.stage("pretrain")
	s.running = &attempt{stage: "pretrain"}
	s.noteProgress(st, &contract.Progress{Step: 1, TotalSteps: 2, Loss: 5.25, ETASeconds: 720, ImagesPerSecond: 285})
	s.set(v1alpha1.ConditionProgressing, "True", reasonTraining, "runs")
	s.summarize()
	got := s.run.Status
	if got.Stage != "pretrain" || got.Progress != "50%" || got.Loss != "5.2500" || got.ETA != "12m" ||
		got.ImagesPerSecond != "285.0" || got.Message != "runs" {
		t.Errorf("status %+v", got)
	}
	s.noteProgress(st, &contract.Progress{Phase: "Evaluating", Step: 2, TotalSteps: 2})
	if s.summarize(); s.run.Status.Progress != "Evaluating" {
		t.Errorf("progress %q in another phase than training", s.run.Status.Progress)
	}
	s.set(v1alpha1.ConditionFailed, "True", reasonUserError, "bad data")
	s.running = nil
	s.summarize()
	if got := s.run.Status; got.Stage != "Failed" || got.Message != "bad data" || got.ETA != "" {
		t.Errorf("status of a failed run %+v", got)
	}
}
