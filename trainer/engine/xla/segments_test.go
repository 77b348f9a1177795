package xla

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

// graph of a test's own.
type graph struct {
	t *testing.T
	*gorgonia.ExprGraph
}

func (g graph) input(name string, shape ...int) *gorgonia.Node {
	return optest.Input(g.ExprGraph, name, shape...)
}

func (g graph) apply(o op.Operator, in ...*gorgonia.Node) *gorgonia.Node {
	g.t.Helper()
	return optest.Apply(g.t, o, in...)
}

// squares is a program in three segments: y = x·w, then w's gradient y·dy, which needs what the first left, then w's update.
func squares(t *testing.T) engine.Program {
	t.Helper()
	g := graph{t, gorgonia.NewGraph()}
	w, x, dy, lr := g.input("w", 1, 1), g.input("x", 1, 1), g.input("dy", 1, 1), g.input("lr", 1)
	y := g.apply(op.Dense{}, x, w)
	dw := g.apply(op.DenseGradWeight{}, g.apply(op.ReLU{}, y), dy)
	return engine.Program{Graph: g.ExprGraph,
		Variables: []engine.Variable{{Name: "w", Node: w, Next: g.apply(op.SGDUpdate{}, w, dw, lr)}},
		Segments: []engine.Segment{
			{Name: "forward", Feeds: gorgonia.Nodes{x}, Fetches: gorgonia.Nodes{y}},
			{Name: "backward", Feeds: gorgonia.Nodes{dy}, Fetches: gorgonia.Nodes{dw}},
			{Name: "update", Feeds: gorgonia.Nodes{lr}, Updates: true},
		}}
}

func one(v float32) engine.Tensor { return engine.Tensor{Shape: []int{1, 1}, Data: []float32{v}} }

func TestSegments(t *testing.T) {
	e := newEngine(t, 1, false)
	x, err := e.New(squares(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, x)
	if err := x.Set("w", one(3)); err != nil {
		t.Fatal(err)
	}
	scalar := func(segment int, v float32) float32 { return run(t, x, segment, one(v))[0].Data[0] }
	// y = 2·3, dw = 6·5 and again 6·7, w = 3 − 0.1·42; then the same with the new w
	got := []float32{scalar(0, 2), scalar(1, 5), scalar(1, 7)}
	run(t, x, 2, engine.Scalar(0.5))
	w, err := x.Get("w")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, w.Data[0], scalar(0, -2), scalar(1, 1))
	if d := cmp.Diff([]float32{6, 30, 42, -18, 36, 36}, got); d != "" {
		t.Errorf("values (-want +got):\n%s", d)
	}
}

// Where the guard is no number, a variable stays as it is, on every engine.
func TestGuard(t *testing.T) {
	other, err := cpu.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, e := range []engine.Engine{newEngine(t, 1, false), other, interp.Engine{}} {
		g := graph{t, gorgonia.NewGraph()}
		w, dw, lr, s := g.input("w", 2), g.input("dw", 2), g.input("lr", 1), g.input("s", 1)
		loss := g.apply(op.Add{}, s, s)
		x, err := e.Compile(engine.Program{Graph: g.ExprGraph,
			Variables: []engine.Variable{{Name: "w", Node: w, Next: g.apply(op.SGDUpdate{}, w, dw, lr)}},
			Segments:  []engine.Segment{{Name: "step", Feeds: gorgonia.Nodes{dw, lr, s}, Fetches: gorgonia.Nodes{loss}, Updates: true, Guard: loss}}})
		if err != nil {
			t.Fatal(err)
		}
		var after []float32
		for _, loss := range []float64{1, math.NaN(), math.Inf(1), 1} {
			run(t, x, 0, engine.Tensor{Shape: []int{2}, Data: []float32{1, 2}}, engine.Scalar(1), engine.Scalar(float32(loss)))
			now, err := x.Get("w")
			if err != nil {
				t.Fatal(err)
			}
			after = append(after, now.Data...)
		}
		if d := cmp.Diff([]float32{-1, -2, -1, -2, -1, -2, -2, -4}, after); d != "" {
			t.Errorf("%s: after each step (-want +got):\n%s", e.Name(), d)
		}
		closed(t, x)
	}
}

func TestErrors(t *testing.T) {
	e := newEngine(t, 1, false)
	x, err := e.New(squares(t))
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, x)
	g := graph{t, gorgonia.NewGraph()}
	in := g.input("x", 2)
	tanh, err := gorgonia.Tanh(in)
	if err != nil {
		t.Fatal(err)
	}
	workers := g.apply(op.SumOverWorkers{Workers: 2}, in)
	alone := func(n *gorgonia.Node) error {
		_, err := e.New(engine.Program{Graph: g.ExprGraph, Segments: []engine.Segment{{Name: "forward", Feeds: gorgonia.Nodes{in}, Fetches: gorgonia.Nodes{n}}}})
		return err
	}
	for name, tc := range map[string]struct {
		do   func() error
		want string
	}{
		"an operator of gorgonia's": {func() error { return alone(tanh) }, "segment forward: no emitter for tanh"},
		"several workers":           {func() error { return alone(workers) }, "pretraining.batchNormStatistics to Worker"},
		"too few feeds":             {func() error { _, err := x.Run(0); return err }, "segment forward takes 1 feeds, not 0"},
		"a later segment first":     {func() error { _, err := x.Run(1, one(1)); return err }, "segment backward: what segment forward leaves is not there"},
		"getting no variable":       {func() error { _, err := x.Get("v"); return err }, `no variable "v"`},
		"setting no variable":       {func() error { return x.Set("v", one(1)) }, `no variable "v"`},
		"setting another size":      {func() error { return x.Set("w", engine.NewTensor(3)) }, "variable w has shape (1, 1), not [3]"},
		"more devices than there are": {func() error {
			_, err := New(Options{Plugin: xlatest.QuickPlugin(t), Devices: 3, Client: map[string]any{"cpu_device_count": int64(2)}})
			return err
		}, "2 devices are there, 3 are wanted"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.do(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}
