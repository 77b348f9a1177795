package stage

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/export"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

func resolved(t *testing.T, change func(*v1alpha1.SimCLRRunSpec)) *v1alpha1.SimCLRRun {
	t.Helper()
	r := &v1alpha1.SimCLRRun{}
	r.Name = "tiny"
	r.Spec.Dataset.Name = "fashion-mnist"
	r.Spec.BatchSize = 64
	if change != nil {
		change(&r.Spec)
	}
	r, err := v1alpha1.Resolve(r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// optionsOf a stage whose output is this run's.
func optionsOf(t *testing.T, run *v1alpha1.SimCLRRun, stage string) (o Options, hash string) {
	t.Helper()
	hash, err := ConfigHash(&run.Spec)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := checkpoint.OpenOutput(dir, run.Name, hash); err != nil {
		t.Fatal(err)
	}
	return Options{
		Run: run, Stage: stage, Output: dir, Attempt: 1, Threads: 1, Engine: "interp",
		Tracker: report.New(run.Name, stage, 1, 0), Log: slog.New(slog.DiscardHandler),
	}, hash
}

// A crash after the stage's own result and before results.json: the next attempt finds the stage done.
func TestAStageThatIsDoneMergesTheResults(t *testing.T) {
	o, _ := optionsOf(t, resolved(t, nil), "pretrain")
	done := contract.TerminationMessage{Stage: "pretrain", Results: &v1alpha1.Results{KNNTop1: "39.88"}}
	if err := checkpoint.SaveResult(o.Output, o.Run.Spec.StageNames(), done); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Output, contract.ResultsFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if m, err := Run(t.Context(), o); err != nil || m.Results.KNNTop1 != "39.88" {
		t.Errorf("got %+v, %v", m, err)
	}
	if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), "39.88") {
		t.Errorf("results.json: %s, %v", raw, err)
	}
}

// A stop says what the stage goes on from, and only where there is something; its exit code stays.
func TestAStopNamesTheCheckpoint(t *testing.T) {
	cause := contract.Errorf(contract.ExitTerminate, "Terminated", "stopped")
	for name, tc := range map[string]struct {
		before func(*report.Tracker)
		want   string
	}{
		"nothing saved": {func(*report.Tracker) {}, "stopped"},
		"saved":         {func(k *report.Tracker) { k.Saved(7, time.Second) }, "stopped (newest checkpoint of stage pretrain: step 7)"},
		"resumed":       {func(k *report.Tracker) { k.Resumed(5) }, "stopped (newest checkpoint of stage pretrain: step 5)"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := optionsOf(t, resolved(t, nil), "pretrain")
			o.Data.Directory = t.TempDir()
			tc.before(o.Tracker)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			m, err := Run(ctx, o)
			if m.Message != tc.want || m.Reason != "Terminated" || contract.ExitCode(err) != contract.ExitTerminate {
				t.Errorf("got %+v", m)
			}
		})
	}
}

// What an older attempt writes late, on a node that was lost and came back, must not replace what its
// successor wrote: not the encoder, not the result.
func TestAnOlderAttemptWritesNothing(t *testing.T) {
	o, hash := optionsOf(t, resolved(t, func(s *v1alpha1.SimCLRRunSpec) { s.KNN.Mode = v1alpha1.Disabled }), "pretrain")
	r := &runner{Options: o, spec: &o.Run.Spec, hash: hash, workers: collective.Single{}}
	for _, attempt := range []int32{1, 2} {
		s, err := checkpoint.Open(o.Output, o.Stage, checkpoint.Options{Attempt: attempt, ConfigHash: hash})
		if err != nil {
			t.Fatal(err)
		}
		if attempt == 1 {
			r.store = s
		}
	}
	for name, err := range map[string]error{
		"the encoder": r.finish(t.Context(), &v1alpha1.Results{}, trained{}, export.Source{}),
		"the result":  r.save(contract.TerminationMessage{Stage: o.Stage}),
	} {
		var e *contract.Error
		if !errors.As(err, &e) || e.Reason != "StaleAttempt" || e.Code != contract.ExitStorage {
			t.Errorf("%s: got %v, want StaleAttempt", name, err)
		}
	}
	for _, name := range []string{contract.EncoderDir, "stages", contract.ResultsFile} {
		if _, err := os.Stat(filepath.Join(o.Output, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was written: %v", name, err)
		}
	}
}
