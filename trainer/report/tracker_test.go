package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

func TestProgressOfTraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := New("fashion", "pretrain", 2, 0)
		k.Begin(Training, 100)
		time.Sleep(time.Second)
		k.Step(Step{Epoch: 1, Step: 1, TotalSteps: 100, Images: 256, Loss: 5.5, ContrastiveAccuracy: 12.5})
		time.Sleep(time.Second)
		k.Step(Step{Epoch: 1, Step: 2, TotalSteps: 100, Images: 256, Loss: 5.25, ContrastiveAccuracy: 25})
		k.Spread(0.0712, 41.5)
		k.KNN(10, 39.88)
		k.Saved(2, time.Second)
		saved := time.Now().UTC().Format(time.RFC3339)
		k.Warn("a damaged image was skipped")
		k.Warn("a damaged image was skipped")
		time.Sleep(500 * time.Millisecond)
		want := contract.Progress{
			SchemaVersion: contract.Version, Stage: "pretrain", Attempt: 2, Phase: Training,
			Epoch: 1, Step: 2, TotalSteps: 100, Done: 2, Total: 100, SinceLastUnitSeconds: 0.5,
			Loss: 5.25, ContrastiveAccuracy: 25, ImagesPerSecond: 256, ETASeconds: 97.5, // 98 steps of a second, half of one gone
			ZStandardDeviation: 0.0712, ZEffectiveRank: 41.5, KNNTop1: 39.88, KNNEpoch: 10,
			CheckpointStep: 2, CheckpointSavedAt: saved, Warnings: []string{"a damaged image was skipped"},
		}
		if d := cmp.Diff(want, k.Progress()); d != "" {
			t.Error(d)
		}
	})
}

func TestRatesAreOverTheLastSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := New("r", "pretrain", 1, 0)
		k.Begin(Training, 1000)
		step := int64(0)
		train := func(steps int, each time.Duration) {
			for range steps {
				time.Sleep(each)
				step++
				k.Step(Step{Step: step, TotalSteps: 1000, Images: 100})
			}
		}
		train(50, 2*time.Second) // 50 images/s
		if got := k.Progress().ImagesPerSecond; got != 50 {
			t.Errorf("%v images/s, want 50", got)
		}
		train(40, time.Second) // 100 images/s, and the window has forgotten the 50
		if got := k.Progress().ImagesPerSecond; got != 100 {
			t.Errorf("%v images/s, want 100", got)
		}
		if n := len(k.samples); n > 32 {
			t.Errorf("%d samples are kept", n)
		}
	})
}

func TestResumedStepsAreNotDoneInNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := New("r", "pretrain", 2, 0)
		k.Resumed(500)
		k.Begin(Training, 1000)
		if p := k.Progress(); p.Done != 500 || p.Step != 500 {
			t.Errorf("begins at %d", p.Done)
		}
		for step := int64(501); step <= 510; step++ {
			time.Sleep(time.Second)
			k.Step(Step{Step: step, TotalSteps: 1000, Images: 1})
		}
		p := k.Progress()
		if p.ETASeconds != 490 || p.ImagesPerSecond != 1 || *p.ResumedFrom != 500 || p.CheckpointStep != 500 {
			t.Errorf("%+v", p)
		}
	})
}

func TestProgressOfOtherPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := New("r", "linear-eval", 1, 0)
		k.Begin(Evaluating, 1000)
		time.Sleep(10 * time.Second)
		k.Advance(250)
		if p := k.Progress(); p.Done != 250 || p.ETASeconds != 30 {
			t.Errorf("%+v", p)
		}
	})
}

func TestNoNumbersBecomeJSON(t *testing.T) {
	k := New("r", "pretrain", 1, 0)
	k.Step(Step{Step: 1, TotalSteps: 2, Loss: math.NaN(), ContrastiveAccuracy: math.Inf(1)})
	k.Spread(math.NaN(), math.Inf(1))
	if _, err := json.Marshal(k.Progress()); err != nil {
		t.Error(err)
	}
}

func TestWarningsAreBounded(t *testing.T) {
	k := New("r", "pretrain", 1, 0)
	for i := range 100 {
		k.Warn(strings.Repeat("ä", 1000) + string(rune('a'+i)))
		k.Warn(string(rune('a'+i)) + strings.Repeat("x", 1000))
	}
	raw, err := json.Marshal(k.Progress())
	if err != nil || len(raw) > contract.MaxProgressBytes || len(k.Progress().Warnings) != contract.MaxWarnings {
		t.Errorf("%d bytes, %d warnings, %v", len(raw), len(k.Progress().Warnings), err)
	}
}

func TestTrackerFromManyGoroutines(t *testing.T) {
	k := New("r", "pretrain", 1, 0)
	k.Begin(Evaluating, 4000)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				k.Advance(1)
				k.Progress()
			}
		})
	}
	all.Wait()
	if got := k.Progress().Done; got != 4000 {
		t.Errorf("%d done, want 4000", got)
	}
}

func TestWatchEndsAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		k := New("r", "pretrain", 1, 0)
		k.Begin(Training, 100)
		stalled := Watch(ctx, k, time.Minute)
		for range 5 { // slow, but it goes on
			time.Sleep(55 * time.Second)
			k.Advance(1)
		}
		select {
		case err := <-stalled:
			t.Fatalf("a slow stage was ended: %v", err)
		default:
		}
		begin := time.Now()
		err := <-stalled
		if after := time.Since(begin); after < time.Minute || after > 70*time.Second {
			t.Errorf("ended after %v", after)
		}
		var e *contract.Error
		if !errors.As(err, &e) || e.Code != contract.ExitStalled || !strings.Contains(err.Error(), "phase Training") {
			t.Errorf("got %v", err)
		}
	})
}

// A step that takes longer than the limit is no stall while its micro-batches go on; the time that it still
// needs is not longer for it.
func TestPartsKeepAStepFromStalling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		k := New("r", "pretrain", 1, 0)
		k.Begin(Training, 3)
		stalled := Watch(ctx, k, time.Minute)
		for step := range int64(2) {
			for range 4 {
				time.Sleep(50 * time.Second)
				k.Part()
			}
			k.Step(Step{Step: step + 1, TotalSteps: 3})
		}
		time.Sleep(50 * time.Second)
		k.Part()
		if p := k.Progress(); p.ETASeconds != 150 || p.SinceLastUnitSeconds != 0 {
			t.Errorf("ETA %v s, %v s since the last unit", p.ETASeconds, p.SinceLastUnitSeconds)
		}
		select {
		case err := <-stalled:
			t.Fatalf("a slow step was ended: %v", err)
		default:
		}
		if err := <-stalled; err == nil {
			t.Error("a stall after a part was not seen")
		}
	})
}

// Who waits for a stall ends with the stage.
func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		stalled := Watch(ctx, New("r", "pretrain", 1, 0), time.Minute)
		cancel()
		if err, ok := <-stalled; ok {
			t.Errorf("got %v, want a closed channel", err)
		}
	})
}

func TestLoggerCarriesWhereItIs(t *testing.T) {
	var b bytes.Buffer
	k := New("fashion", "pretrain", 3, 1)
	l := k.Logger(&b).With("pod", "x")
	l.Info("begin")
	k.Step(Step{Step: 7, TotalSteps: 9})
	l.Warn("image skipped", "file", "a.jpg")
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := map[string]any{"level": "WARN", "msg": "image skipped", "run": "fashion", "stage": "pretrain", "attempt": 3., "rank": 1., "step": 7., "pod": "x", "file": "a.jpg"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
