package op_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/collective/collectivetest"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// overWorkers is a graph that several workers run, each with operands and a gradient of the result of its own.
type overWorkers struct {
	t     *testing.T
	build func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node
	in    []operand
	feeds [][]interp.Array // by worker: operands, gradient
}

func newOverWorkers(t *testing.T, workers int, in []operand, build func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node) *overWorkers {
	o := &overWorkers{t, build, in, make([][]interp.Array, workers)}
	g := newGraph(in...)
	shapes := append(shapes(in), build(t, g.in).Shape())
	for w := range workers {
		r := rand.New(rand.NewPCG(5, uint64(w)))
		for _, s := range shapes {
			a := interp.Zeros(s...)
			for i := range a.V {
				a.V[i] = r.NormFloat64()
			}
			o.feeds[w] = append(o.feeds[w], a)
		}
	}
	return o
}

// run gives each worker's result and its gradients by its operands.
func (o *overWorkers) run() [][]interp.Array {
	o.t.Helper()
	all := make([][]interp.Array, len(o.feeds))
	collectivetest.Run(o.t, len(o.feeds), func(w collective.Collective) error {
		g := newGraph(o.in...)
		y := o.build(o.t, g.in)
		dy := input(g.g, "dy", y.Shape()...)
		grads, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, gorgonia.Nodes{dy}, g.in)
		if err != nil {
			return err
		}
		x, err := interp.New(engine.Program{Graph: g.g, Workers: &collective.Within{Collective: w, Context: o.t.Context()}, Segments: []engine.Segment{{
			Name: "test", Feeds: append(append(gorgonia.Nodes{}, g.in...), dy), Fetches: append(gorgonia.Nodes{y}, grads...),
		}}})
		if err != nil {
			return err
		}
		all[w.Rank()], err = x.Run64(0, o.feeds[w.Rank()]...)
		return err
	})
	return all
}

// weighted is Σ dy·y over all workers: the loss, of which each worker computes a part.
func (o *overWorkers) weighted() float64 {
	s := 0.
	for w, out := range o.run() {
		for i, v := range o.feeds[w][len(o.in)].V {
			s += v * out[0].V[i]
		}
	}
	return s
}

// Every worker's gradients by its own operands are the derivatives of the loss of all workers.
func TestGradientsOverWorkers(t *testing.T) {
	norm := func(workers int) func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
		return func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.Normalize{Epsilon: 1e-5}, in[0], must(t, op.BatchStatistics{Workers: workers}, in[0]), in[1], in[2])
		}
	}
	for name, tc := range map[string]struct {
		workers int
		in      []operand
		build   func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node
	}{
		"sum": {2, []operand{of(2, 3)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.SumOverWorkers{Workers: 2}, in[0])
		}},
		"a sum of sums": {3, []operand{of(2, 2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.SumOverWorkers{Workers: 3}, must(t, op.Softplus{}, must(t, op.SumOverWorkers{Workers: 3}, in[0])))
		}},
		"statistics": {2, []operand{of(3, 2, 1, 2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.BatchStatistics{Workers: 2}, in[0])
		}},
		"batch norm":                    {2, []operand{of(3, 2, 1, 2), of(2), of(2)}, norm(2)},
		"batch norm of a dense layer":   {2, []operand{of(3, 2), of(2), of(2)}, norm(2)},
		"batch norm of one value, of 3": {3, []operand{of(1, 2), of(2), of(2)}, norm(3)},
		"batch norm of each by itself":  {2, []operand{of(3, 2), of(2), of(2)}, norm(0)},
		"two layers with a normalised x": {2, []operand{of(3, 2), of(2), of(2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			y := norm(2)(t, gorgonia.Nodes{must(t, op.Softplus{}, norm(2)(t, in)), in[1], in[2]})
			return must(t, op.Add{}, y, in[0])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOverWorkers(t, tc.workers, tc.in, tc.build)
			for w, out := range o.run() {
				for i := range tc.in {
					centralDifferences(t, fmt.Sprintf("worker %d's operand %d", w, i), o.feeds[w][i].V, out[1+i].V, o.weighted)
				}
			}
		})
	}
}

// Statistics over workers are those of all their values in one batch, however large the mean is beside the deviation.
func TestStatisticsOverWorkers(t *testing.T) {
	const workers, rows = 3, 4
	for _, mean := range []float64{0, 1e4} {
		t.Run(fmt.Sprint("mean ", mean), func(t *testing.T) {
			o := newOverWorkers(t, workers, []operand{of(rows, 2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
				return must(t, op.BatchStatistics{Workers: workers}, in[0])
			})
			whole := newOverWorkers(t, 1, []operand{of(workers*rows, 2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
				return must(t, op.BatchStatistics{}, in[0])
			})
			whole.feeds[0][0].V = nil
			for w := range workers {
				for i := range o.feeds[w][0].V {
					o.feeds[w][0].V[i] += mean
				}
				whole.feeds[0][0].V = append(whole.feeds[0][0].V, o.feeds[w][0].V...)
			}
			want := whole.run()[0][0].V
			got := o.run()
			for w := range workers {
				for i, v := range got[w][0].V {
					if math.Float64bits(v) != math.Float64bits(got[0][0].V[i]) {
						t.Errorf("worker %d has another value %d than worker 0", w, i)
					}
					if math.Abs(v-want[i]) > 1e-12*max(1, math.Abs(want[i])) {
						t.Errorf("value %d is %v, of one batch %v", i, v, want[i])
					}
				}
			}
		})
	}
}
