package pretrain

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/host"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
)

// overTCP runs f on every worker of a group that is connected as in a cluster.
func overTCP(t *testing.T, size int, f func(w collective.Collective) error) {
	t.Helper()
	if size == 1 {
		if err := f(collective.Single{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	at, errs := host.FreeAddress(t), make([]error, size)
	var wg sync.WaitGroup
	for rank := range size {
		c := collective.Config{Rank: rank, Size: size, Coordinator: at, Listen: "127.0.0.1:0", Key: make([]byte, 32), Run: "r", Stage: "pretrain", Attempt: 1}
		if rank == 0 {
			c.Listen = at
		}
		wg.Go(func() {
			g, err := collective.Connect(t.Context(), c)
			if err != nil {
				errs[rank] = err
				return
			}
			if errs[rank] = f(g); errs[rank] != nil {
				g.Fail(errs[rank])
			}
			_ = g.Close()
		})
	}
	wg.Wait()
	for rank, err := range errs {
		if err != nil {
			t.Fatalf("worker %d: %v", rank, err)
		}
	}
}

// cutsOverTCP are ways to cut a batch of eight images among workers and their micro-batches whose groups of batch norm are
// the same.
var cutsOverTCP = map[string][][2]int{
	"running statistics": {{1, 1}, {2, 1}, {2, 2}, {4, 1}},
	"groups of two":      {{1, 4}, {2, 2}, {4, 1}},
	"global statistics":  {{1, 1}, {2, 1}, {4, 1}},
}

// One, two and four workers that are connected over TCP take the same step of the same global batch, by every parameter
// and to rounding; and the very one of workers in one process.
func TestWorkersOverTCPMakeTheSameStep(t *testing.T) {
	for name, cuts := range cutsOverTCP {
		t.Run(name, func(t *testing.T) {
			c := cached()
			c.Model.RunningNorm = name == "running statistics"
			within := 1e-5
			if name == "global statistics" {
				c.Statistics, within = v1alpha1.BatchNormGlobal, 1e-4 // as in one process
			}
			c.bucket = 64 // so that there are many
			e := cpuEngine(t)
			want := oneStep(t, e, c, cuts[0][0], cuts[0][1], 1)
			for _, cut := range cuts[1:] {
				got := oneStepOf(t, e, c, cut[0], cut[1], 1, overTCP)
				if math.Abs(got.loss-want.loss) > 1e-6*want.loss {
					t.Errorf("%d workers: loss %v, want %v", cut[0], got.loss, want.loss)
				}
				if name, by := furthest(want.steps, got.steps); !(by < within) || len(got.steps) == 0 {
					t.Errorf("%d workers of %d micro-batches: %s differs by %.1e of its largest step", cut[0], cut[1], name, by)
				}
				if name, by := furthest(want.running, got.running); !(by < 1e-6) {
					t.Errorf("%d workers of %d micro-batches: the running statistics %s differ by %.1e", cut[0], cut[1], name, by)
				}
				if d := cmp.Diff(oneStep(t, e, c, cut[0], cut[1], 1).steps, got.steps); d != "" {
					t.Errorf("%d workers: over TCP another step than in one process:\n%s", cut[0], d)
				}
			}
		})
	}
}

// tallied counts the sums on a collective, of as many values as there are parameters, and on the one beside it.
type tallied struct {
	collective.Concurrent
	calls, beside *atomic.Int32
}

func (c tallied) AllReduceSum(ctx context.Context, buffers ...[]float32) error {
	c.calls.Add(1)
	return c.Concurrent.AllReduceSum(ctx, buffers...)
}

func (c tallied) Beside() collective.Collective {
	return talliedBeside{c.Concurrent.Beside(), c.beside}
}

type talliedBeside struct {
	collective.Collective
	calls *atomic.Int32
}

func (c talliedBeside) AllReduceSum(ctx context.Context, buffers ...[]float32) error {
	c.calls.Add(1)
	return c.Collective.AllReduceSum(ctx, buffers...)
}

// Gradients are summed bucket by bucket, beside the backward pass, where a worker computes its images at once.
func TestGradientsAreSummedBesideTheBackwardPass(t *testing.T) {
	for name, tc := range map[string]struct {
		micro           int
		beside, instead bool
	}{"at once": {1, true, false}, "micro-batches": {2, false, true}} {
		t.Run(name, func(t *testing.T) {
			var calls, beside atomic.Int32
			c := cached()
			c.bucket = 64
			oneStepOf(t, cpuEngine(t), c, 2, tc.micro, 1, func(t *testing.T, size int, f func(collective.Collective) error) {
				overTCP(t, size, func(w collective.Collective) error {
					return f(tallied{w.(collective.Concurrent), &calls, &beside})
				})
			})
			if (beside.Load() >= 4) != tc.beside || (calls.Load() > 0) != tc.instead {
				t.Errorf("%d sums beside the backward pass and %d after it", beside.Load(), calls.Load())
			}
		})
	}
}

// averaged makes means where there should be sums.
type averaged struct{ collective.Collective }

func (a averaged) AllReduceSum(ctx context.Context, buffers ...[]float32) error {
	err := a.Collective.AllReduceSum(ctx, buffers...)
	for _, b := range buffers {
		for i := range b {
			b[i] /= float32(a.Size())
		}
	}
	return err
}

// The test above sees gradients that are averaged over workers.
func TestAnAverageOverWorkersIsSeen(t *testing.T) {
	c := cached()
	c.Model.RunningNorm = true
	want := oneStep(t, interp.Engine{}, c, 1, 1, 1)
	for _, workers := range []int{2, 4} {
		got := oneStepOf(t, interp.Engine{}, c, workers, 1, 1, func(t *testing.T, size int, f func(collective.Collective) error) {
			overTCP(t, size, func(w collective.Collective) error { return f(averaged{w}) })
		})
		if _, by := furthest(want.steps, got.steps); by < 0.4 {
			t.Errorf("%d workers: the average differs by %.1e only", workers, by)
		}
	}
}
