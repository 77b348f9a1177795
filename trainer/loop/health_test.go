package loop

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/contrastive"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// epochs of two steps.
func epochs(l *Loop, n int) *Loop {
	l.Stage = plan.Stage{Name: "pretrain", Batch: 4, Epochs: n, StepsPerEpoch: 2, TotalSteps: int64(2 * n), PeakLearningRate: 1}
	return l
}

// asked is a kNN that notes after how many steps of this process it was asked, and answers with that.
type asked struct {
	of    *recorded
	after []int
	err   error
}

func (a *asked) knn(context.Context) (float64, error) {
	a.after = append(a.after, len(a.of.steps))
	return float64(len(a.of.steps)), a.err
}

func TestKNNEverySomeEpochs(t *testing.T) {
	for every, want := range map[int32][]int{0: nil, 1: {2, 4, 6, 8}, 2: {4, 8}, 3: {6}, 5: nil, 9: nil} {
		l := epochs(open(t, t.TempDir(), 1), 5)
		r := &recorded{}
		a := &asked{of: r}
		task := r.task()
		task.Health = Health{KNN: a.knn, KNNEpochs: every}
		if _, err := l.Run(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, a.after); d != "" {
			t.Errorf("every %d epochs, after steps (-want +got):\n%s", every, d)
		}
		p := l.Tracker.Progress()
		if n := len(want); n > 0 && (p.KNNTop1 != float64(want[n-1]) || int(p.KNNEpoch) != want[n-1]/2) {
			t.Errorf("every %d epochs: progress has %v of epoch %d", every, p.KNNTop1, p.KNNEpoch)
		}
		if p.Phase != report.Training || p.Done != 10 {
			t.Errorf("every %d epochs: %s, %d steps done", every, p.Phase, p.Done)
		}
	}
}

// An evaluation that a stop cuts short is made up for, one that is done is not repeated, and its value comes
// back.
func TestKNNAcrossARestart(t *testing.T) {
	for name, tc := range map[string]struct {
		during    bool // the first evaluation, or in the step after it
		wantFirst []int
		wantLater []int // after steps of the second process
	}{
		"during":     {true, []int{2}, []int{0, 2}},
		"afterwards": {false, []int{2}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := func() { cancel(contract.Errorf(contract.ExitTerminate, "Terminated", "SIGTERM")) }
			r := &recorded{before: func(step int) {
				if step == 3 {
					stop()
				}
			}}
			a := &asked{of: r}
			task := r.task()
			task.Health = Health{KNNEpochs: 1, KNN: func(ctx context.Context) (float64, error) {
				if tc.during {
					stop()
					a.err = context.Cause(ctx)
				}
				return a.knn(ctx)
			}}
			if _, err := epochs(open(t, dir, 1), 3).Run(ctx, task); contract.ExitCode(err) != contract.ExitTerminate {
				t.Fatal(err)
			}
			l := epochs(open(t, dir, 2), 3)
			second := &recorded{}
			later := &asked{of: second}
			second.before = func(step int) {
				if p := l.Tracker.Progress(); step == 1 && !tc.during && (p.KNNEpoch != 1 || p.KNNTop1 != 2) {
					t.Errorf("resumed with kNN %v of epoch %d", p.KNNTop1, p.KNNEpoch)
				}
			}
			task = second.task()
			task.Health = Health{KNN: later.knn, KNNEpochs: 1}
			if _, err := l.Run(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([][]int{tc.wantFirst, tc.wantLater}, [][]int{a.after, later.after}); d != "" {
				t.Errorf("evaluations (-want +got):\n%s", d)
			}
		})
	}
}

func TestAnErrorOfKNNEndsTheStage(t *testing.T) {
	r := &recorded{}
	a := &asked{of: r, err: errors.New("broken")}
	task := r.task()
	task.Health = Health{KNN: a.knn, KNNEpochs: 1}
	if _, err := epochs(open(t, t.TempDir(), 1), 3).Run(t.Context(), task); err == nil || err.Error() != "broken" {
		t.Errorf("got %v", err)
	}
}

// z is looked at every 50 steps and at the end of an epoch; within an epoch nobody is warned.
func TestZIsLookedAtNowAndThen(t *testing.T) {
	l := open(t, t.TempDir(), 1)
	l.Stage = plan.Stage{Name: "pretrain", Batch: 4, Epochs: 2, StepsPerEpoch: 60, TotalSteps: 120}
	r := &recorded{}
	task := r.task()
	var looks []int
	task.Health.Spread = func() (contrastive.Spread, error) {
		looks = append(looks, len(r.steps))
		if len(r.steps)%60 != 0 {
			return contrastive.Spread{Dimension: 8, Rows: 16, EffectiveRank: 1}, nil
		}
		return contrastive.Spread{Dimension: 8, Rows: 16, EffectiveRank: 7, StandardDeviation: 0.3}, nil
	}
	_, err := l.Run(t.Context(), task)
	if d := cmp.Diff([]int{50, 60, 100, 120}, looks); d != "" || err != nil {
		t.Errorf("looks (-want +got): %s %v", d, err)
	}
	if w := l.Tracker.Progress().Warnings; len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
}

// A collapse is told once, at the end of an epoch; again where it had healed.
func TestACollapseIsTold(t *testing.T) {
	healthy := contrastive.Spread{StandardDeviation: 0.35, EffectiveRank: 7, Dimension: 8, Rows: 16}
	line := contrastive.Spread{StandardDeviation: 0.35, EffectiveRank: 1.06, Dimension: 8, Rows: 16}
	point := contrastive.Spread{StandardDeviation: 0.001, EffectiveRank: 1, Dimension: 8, Rows: 16}
	for name, tc := range map[string]struct {
		ends []contrastive.Spread // at the ends of epochs
		want []string
	}{
		"healthy":        {[]contrastive.Spread{healthy, healthy, healthy}, nil},
		"a point":        {[]contrastive.Spread{healthy, point, point}, []string{"step 4: z has collapsed: the standard deviation of its directions is 0.001, where 0.35 is"}},
		"a line":         {[]contrastive.Spread{line, line, line}, []string{"step 2: z has collapsed: its effective rank is 1.1 of 8"}},
		"twice":          {[]contrastive.Spread{line, healthy, line}, []string{"step 2: z has", "step 6: z has"}},
		"healed at once": {[]contrastive.Spread{point, healthy}, []string{"step 2: z has"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := epochs(open(t, t.TempDir(), 1), len(tc.ends))
			var log bytes.Buffer
			l.Log = l.Tracker.Logger(&log)
			r := &recorded{}
			task := r.task()
			task.Health.Spread = func() (contrastive.Spread, error) { return tc.ends[len(r.steps)/2-1], nil }
			if _, err := l.Run(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			p := l.Tracker.Progress()
			if last := tc.ends[len(tc.ends)-1]; p.ZStandardDeviation != last.StandardDeviation || p.ZEffectiveRank != last.EffectiveRank {
				t.Errorf("progress has %v and %v", p.ZStandardDeviation, p.ZEffectiveRank)
			}
			if len(p.Warnings) != len(tc.want) {
				t.Fatalf("warnings %q", p.Warnings)
			}
			for i, want := range tc.want {
				if !strings.Contains(p.Warnings[i], want) || len(p.Warnings[i]) >= contract.MaxWarningBytes || !strings.Contains(log.String(), want) {
					t.Errorf("warning %q, log %s; want %q", p.Warnings[i], log.String(), want)
				}
			}
		})
	}
}
