package collective

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// wantLost checks that an error names the lost worker and has the contract's code.
func wantLost(t *testing.T, err error, rank int, text string) {
	t.Helper()
	l, ok := errors.AsType[*LostError](err)
	if !ok || l.Rank != rank || contract.ExitCode(err) != contract.ExitPeerLost || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (exit code %d), want that worker %d is lost, and %q", err, contract.ExitCode(err), rank, text)
	}
}

// Calls that differ are an error on every worker that says which they were.
func TestCallsThatDiffer(t *testing.T) {
	nothingLeft(t)
	ctx := t.Context()
	for name, tc := range map[string]struct {
		odd, others func(g *Group) error
		want        []string
	}{
		"few lengths": {
			func(g *Group) error { return g.AllReduceSum(ctx, make([]float32, 5)) },
			func(g *Group) error { return g.AllReduceSum(ctx, make([]float32, 4)) },
			[]string{"worker 1", "AllReduceSum of 5 values", "AllReduceSum of 4 values"},
		},
		"lengths": {
			func(g *Group) error { return g.AllReduceSum(ctx, make([]float32, 500_000)) },
			func(g *Group) error { return g.AllReduceSum(ctx, make([]float32, 500_001)) },
			[]string{"worker 1", "500000 values", "500001 values"},
		},
		"operations": {
			func(g *Group) error { return g.AllReduceSum(ctx, make([]float32, 500_000)) },
			func(g *Group) error { _, err := g.AllGather(ctx, make([]float32, 500_000)); return err },
			[]string{"worker 1", "AllReduceSum", "AllGather"},
		},
		"one more": {
			func(g *Group) error {
				return errors.Join(g.Barrier(ctx), g.Barrier(ctx), g.AllReduceSum(ctx, []float32{1}))
			},
			func(g *Group) error { return errors.Join(g.Barrier(ctx), g.AllReduceSum(ctx, []float32{1})) },
			[]string{"worker 1", "Barrier as call 1", "AllReduceSum of 1 values as call 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			errs := together(t, 3, nil, func(g *Group) error {
				if g.Rank() == 1 {
					return tc.odd(g)
				}
				return tc.others(g)
			})
			for rank, err := range errs {
				if _, ok := errors.AsType[*MismatchError](err); !ok {
					t.Errorf("worker %d: %v, want a mismatch", rank, err)
					continue
				}
				for _, text := range tc.want {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("worker %d: %v, want %q", rank, err, text)
					}
				}
			}
		})
	}
}

// A worker that ends says why; the others do not wait for it.
func TestAWorkerThatFailsSaysWhy(t *testing.T) {
	nothingLeft(t)
	why := errors.New("the disk is full")
	errs := together(t, 3, nil, func(g *Group) error {
		if g.Rank() == 2 {
			g.Fail(why)
			return why
		}
		return g.Barrier(t.Context())
	})
	wantLost(t, errs[0], 2, "the disk is full")
	wantLost(t, errs[1], 2, "the disk is full")
}

// Who is done is no loss, but for those who call for it.
func TestAWorkerThatIsDone(t *testing.T) {
	nothingLeft(t)
	done := make(chan struct{})
	errs := together(t, 3, nil, func(g *Group) error {
		if err := g.Barrier(t.Context()); err != nil {
			return err
		}
		if g.Rank() == 1 {
			defer close(done)
			return g.Close()
		}
		<-done
		time.Sleep(3 * g.c.Times.Beat)
		return g.state()
	})
	noErrors(t, errs)
	errs = together(t, 3, nil, func(g *Group) error {
		if g.Rank() == 1 {
			return g.Close()
		}
		return g.Barrier(t.Context())
	})
	wantLost(t, errs[0], 1, "ended its part")
	wantLost(t, errs[2], 1, "ended its part")
}

// A worker that is long in coming to a collective is not lost, and its work keeps the others from stalling.
func TestABusyWorkerIsWaitedFor(t *testing.T) {
	nothingLeft(t)
	var units, seen atomic.Uint64
	errs := together(t, 2, func(c *Config) {
		c.Times.Lost, c.Times.Transfer = 2*time.Second, 100*time.Millisecond
		if c.Rank == 0 {
			c.Units = func() uint64 { return units.Add(1) }
		} else {
			c.Alive = func() { seen.Add(1) }
		}
	}, func(g *Group) error {
		if g.Rank() == 0 {
			time.Sleep(3 * time.Second)
		}
		return g.AllReduceSum(t.Context(), make([]float32, 200_000))
	})
	noErrors(t, errs)
	if seen.Load() < 5 {
		t.Errorf("the work of worker 0 was seen %d times", seen.Load())
	}
}

// A context that ends, ends the call on all workers.
func TestContextEnds(t *testing.T) {
	nothingLeft(t)
	stop := errors.New("enough")
	errs := together(t, 3, nil, func(g *Group) error {
		if g.Rank() != 2 {
			return g.Barrier(t.Context())
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
		_, err := g.AllGather(ctx, make([]float32, 3)) // the others make another call, and that is an error too
		return err
	})
	if errs[2] == nil {
		t.Error("worker 2 has no error")
	}
	errs = together(t, 2, nil, func(g *Group) error {
		if g.Rank() == 1 {
			time.Sleep(300 * time.Millisecond)
			return g.Barrier(t.Context())
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
		return g.Barrier(ctx)
	})
	if !errors.Is(errs[0], stop) {
		t.Errorf("worker 0: %v, want %v", errs[0], stop)
	}
	wantLost(t, errs[1], 0, "enough")
	errs = together(t, 2, nil, func(g *Group) error { return g.Barrier(cancelled()) })
	for rank, err := range errs {
		if err == nil {
			t.Errorf("worker %d: a context that had ended is not told", rank)
		}
	}
}

// After an error every call gives it, and closing twice is allowed.
func TestAfterAnError(t *testing.T) {
	nothingLeft(t)
	errs := together(t, 2, nil, func(g *Group) error {
		g.Fail(errors.New("first"))
		first := g.Barrier(t.Context())
		_, second := g.AllGather(t.Context(), nil)
		if !errors.Is(second, first) {
			t.Errorf("first %v, then %v", first, second)
		}
		return errors.Join(g.Close(), g.Close(), first)
	})
	for _, err := range errs {
		if err == nil || !strings.Contains(err.Error(), "first") {
			t.Errorf("got %v", err)
		}
	}
}

// Many calls from one group, and several groups at once, do not meet.
func TestGroupsSideBySide(t *testing.T) {
	nothingLeft(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			noErrors(t, together(t, 2, nil, func(g *Group) error {
				for range 300 {
					v := []float32{float32(g.Rank() + 1)}
					if err := g.AllReduceSum(t.Context(), v); err != nil || v[0] != 3 {
						t.Errorf("got %v, %v", v, err)
						return err
					}
				}
				return nil
			}))
		})
	}
	wg.Wait()
}

// A worker that is busy learns that another has failed, without a call.
func TestABusyWorkerLearnsOfFailures(t *testing.T) {
	nothingLeft(t)
	errs := together(t, 2, nil, func(g *Group) error {
		if err := g.Err(); err != nil {
			return err
		}
		if g.Rank() == 1 {
			g.Fail(errors.New("the disk is full"))
		}
		select {
		case <-g.Failed():
		case <-time.After(10 * time.Second):
		}
		return g.Err()
	})
	wantLost(t, errs[0], 1, "the disk is full")
}
