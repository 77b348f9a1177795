package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// recorded is a task of one weight that remembers its steps.
type recorded struct {
	weight float32
	steps  []string
	before func(step int) // called before each step, counted from 1 in this process
	loss   func(step int) float64
}

func (r *recorded) task() Task {
	return Task{
		Step: func(_ context.Context, at Position, rate float64) (Measure, error) {
			n := len(r.steps) + 1
			if r.before != nil {
				r.before(n)
			}
			r.steps = append(r.steps, fmt.Sprintf("%d/%d %.3f", at.Epoch, at.Batch, rate))
			loss := float64(at.Batch)
			if r.loss != nil {
				loss = r.loss(n)
			}
			if !math.IsNaN(loss) {
				r.weight = r.weight*3 + float32(rate)
			}
			return Measure{Loss: loss}, nil
		},
		Snapshot: func() ([]safetensors.Tensor, error) {
			return []safetensors.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{r.weight}}}, nil
		},
		Restore: func(ts []safetensors.Tensor) error {
			r.weight = ts[0].Data[0]
			return nil
		},
	}
}

func open(t *testing.T, dir string, attempt int32) *Loop {
	t.Helper()
	s, err := checkpoint.Open(dir, "pretrain", checkpoint.Options{Attempt: attempt, Keep: 2, ConfigHash: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return &Loop{
		Stage: plan.Stage{Name: "pretrain", Batch: 4, Epochs: 2, StepsPerEpoch: 3, WarmupSteps: 3, TotalSteps: 6, PeakLearningRate: 1},
		Store: s, Interval: time.Hour, Tracker: report.New("r", "pretrain", attempt, 0), Log: slog.New(slog.DiscardHandler),
	}
}

func TestScheduleAndPositions(t *testing.T) {
	r := &recorded{}
	loss, err := open(t, t.TempDir(), 1).Run(t.Context(), r.task())
	if err != nil {
		t.Fatal(err)
	}
	// warmup 0, 1/3, 2/3, then cosine from 1 at the first step after it
	want := []string{"0/0 0.000", "0/1 0.333", "0/2 0.667", "1/0 1.000", "1/1 0.750", "1/2 0.250"}
	if diff := cmp.Diff(want, r.steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if loss != 1 {
		t.Errorf("mean loss of the last epoch %v, want (0+1+2)/3", loss)
	}
}

func TestStopAtAnyStepAndResume(t *testing.T) {
	whole := &recorded{}
	want, err := open(t, t.TempDir(), 1).Run(t.Context(), whole.task())
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= 6; at++ {
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		first := &recorded{before: func(n int) {
			if n == at {
				cancel(contract.Errorf(contract.ExitTerminate, "Terminated", "SIGTERM"))
			}
		}}
		_, err := open(t, dir, 1).Run(ctx, first.task())
		if at < 6 && contract.ExitCode(err) != contract.ExitTerminate {
			t.Errorf("stop during step %d: %v", at, err)
		}
		second := &recorded{}
		loss, err := open(t, dir, 2).Run(t.Context(), second.task())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(whole.steps, append(first.steps, second.steps...)); diff != "" {
			t.Errorf("steps with a stop during %d (-want +got):\n%s", at, diff)
		}
		if second.weight != whole.weight || loss != want {
			t.Errorf("after a stop during %d: weight %v and loss %v, want %v and %v", at, second.weight, loss, whole.weight, want)
		}
	}
}

func TestDivergenceKeepsTheLastGoodCheckpoint(t *testing.T) {
	for name, tc := range map[string]struct {
		loss func(int) float64
		poke bool
	}{
		"loss":   {loss: func(n int) float64 { return []float64{1, 1, 1, math.NaN()}[n-1] }},
		"weight": {loss: func(int) float64 { return 1 }, poke: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := open(t, dir, 1)
			l.Interval = 0 // a checkpoint before every step
			r := &recorded{loss: tc.loss}
			r.before = func(n int) {
				if tc.poke && n == 4 {
					r.weight = float32(math.Inf(1))
				}
			}
			_, err := l.Run(t.Context(), r.task())
			var e *contract.Error
			if !errors.As(err, &e) || e.Code != contract.ExitDiverged || e.Reason != "Diverged" {
				t.Fatalf("error %v", err)
			}
			st, warnings, err := open(t, dir, 2).Store.Load()
			if err != nil || st == nil || st.Step != 3 || len(warnings) > 0 {
				t.Errorf("the checkpoint left is %+v, %v, %v; want step 3", st, warnings, err)
			}
		})
	}
}
