package cpu

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

var vector, apply = optest.Input, optest.Apply

func values(t *testing.T, x engine.Executable, names ...string) map[string][]float32 {
	t.Helper()
	got := map[string][]float32{}
	for _, n := range names {
		v, err := x.Get(n)
		if err != nil {
			t.Fatal(err)
		}
		got[n] = v.Data
	}
	return got
}

// Two segments: y = x + w is fetched, then w ← w − y, from a value of the first segment. Two variables
// swap places and a third takes the same new value as w.
func TestSegmentsShareValuesAndUpdateAtTheirEnd(t *testing.T) {
	g := gorgonia.NewGraph()
	x, w, copyOfW, a, b := vector(g, "x", 1, 2), vector(g, "w", 1, 2), vector(g, "copy", 1, 2), vector(g, "a", 1, 2), vector(g, "b", 1, 2)
	y := apply(t, op.Add{}, x, w)
	next := apply(t, op.ApplyVelocity{}, w, y)
	p := engine.Program{Graph: g,
		Variables: []engine.Variable{{Name: "w", Node: w, Next: next}, {Name: "copy", Node: copyOfW, Next: next}, {Name: "a", Node: a, Next: b}, {Name: "b", Node: b, Next: a}},
		Segments: []engine.Segment{
			{Name: "forward", Feeds: gorgonia.Nodes{x}, Fetches: gorgonia.Nodes{y}},
			{Name: "update", Updates: true},
		}}
	e, err := newEngine(t).Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string][]float32{"w": {1, 2}, "a": {5, 6}, "b": {7, 8}} {
		if err := e.Set(name, engine.Tensor{Shape: []int{1, 2}, Data: v}); err != nil {
			t.Fatal(err)
		}
	}
	for step, want := range []map[string][]float32{
		{"y": {11, 22}, "w": {-10, -20}, "copy": {-10, -20}, "a": {7, 8}, "b": {5, 6}},
		{"y": {0, 0}, "w": {-10, -20}, "copy": {-10, -20}, "a": {5, 6}, "b": {7, 8}},
	} {
		out, err := e.Run(0, engine.Tensor{Shape: []int{1, 2}, Data: []float32{10, 20}})
		if err != nil {
			t.Fatal(err)
		}
		fetched := append([]float32{}, out[0].Data...)
		if _, err := e.Run(1); err != nil {
			t.Fatal(err)
		}
		got := values(t, e, "w", "copy", "a", "b")
		got["y"] = fetched
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("step %d (-want +got):\n%s", step, d)
		}
	}
}

func TestUnneededOperatorsAreNotComputed(t *testing.T) {
	g := gorgonia.NewGraph()
	x := vector(g, "x", 2, 3)
	y := apply(t, op.ReLU{}, x)
	apply(t, op.Softplus{}, y)
	e, err := newEngine(t).Compile(engine.Program{Graph: g, Segments: []engine.Segment{{Name: "s", Feeds: gorgonia.Nodes{x}, Fetches: gorgonia.Nodes{y}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(e.(*executable).segments[0]); got != 1 {
		t.Errorf("%d steps, want ReLU's alone", got)
	}
}

func TestErrors(t *testing.T) {
	e := newEngine(t)
	g := gorgonia.NewGraph()
	logits, labels := vector(g, "logits", 2, 3), vector(g, "labels", 2)
	loss := apply(t, op.SoftmaxCrossEntropy{}, logits, labels)
	x, err := e.Compile(engine.Program{Graph: g, Segments: []engine.Segment{{Name: "loss", Feeds: gorgonia.Nodes{logits, labels}, Fetches: gorgonia.Nodes{loss}}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Run(0, engine.NewTensor(2, 3), engine.Tensor{Shape: []int{2}, Data: []float32{0, -1}})
	if err == nil || !strings.Contains(err.Error(), "label -1 of image 1") {
		t.Errorf("a batch with an unlabelled image: %v", err)
	}
	if _, err := x.Run(0, engine.NewTensor(2, 3)); err == nil {
		t.Error("a missing feed is no error")
	}

	g = gorgonia.NewGraph()
	in := vector(g, "in", 1<<24, 1<<22)
	_, err = e.Compile(engine.Program{Graph: g, Segments: []engine.Segment{{Name: "s", Feeds: gorgonia.Nodes{in}, Fetches: gorgonia.Nodes{apply(t, op.ReLU{}, in)}}}})
	var memory *OutOfMemoryError
	if !errors.As(err, &memory) || memory.Bytes != 1<<48 || memory.Had != 0 {
		t.Errorf("256 TiB: %v", err)
	}
}

func TestInfo(t *testing.T) {
	got := newEngine(t).Info()
	if got.Threads != 2 || got.ISA == "" || !strings.HasPrefix(got.OneDNN, "2.") && !strings.HasPrefix(got.OneDNN, "3.") {
		t.Errorf("%+v", got)
	}
}
