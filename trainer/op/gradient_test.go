package op_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

// draw fills an operand of a test case.
type draw func(r *rand.Rand, i, n int) float64

func normal(r *rand.Rand, _, _ int) float64 { return r.NormFloat64() }

// awayFromZero keeps central differences on one side of ReLU's kink.
func awayFromZero(r *rand.Rand, _, _ int) float64 {
	v := r.NormFloat64()
	return v + math.Copysign(0.1, v)
}

// moments are a (2, C) operand: any mean, a variance well above 0.
func moments(r *rand.Rand, i, n int) float64 {
	if i < n/2 {
		return r.NormFloat64()
	}
	return 0.5 + r.Float64()
}

func classes(_ *rand.Rand, i, _ int) float64 { return float64(i % 3) }

// operand of a test case; fixed ones have no gradient.
type operand struct {
	shape []int
	draw  draw
	fixed bool
}

func of(shape ...int) operand { return operand{shape: shape, draw: normal} }

// graph of a test case: inputs, and what is made of them.
type graph struct {
	g  *gorgonia.ExprGraph
	in gorgonia.Nodes
}

func newGraph(operands ...operand) graph {
	g := graph{g: gorgonia.NewGraph()}
	for i, o := range operands {
		g.in = append(g.in, input(g.g, fmt.Sprint("operand ", i), o.shape...))
	}
	return g
}

var input, must = optest.Input, optest.Apply

// differentiated runs y and the gradients of Σ dy·y by the operands that are not fixed.
type differentiated struct {
	t    *testing.T
	x    *interp.Executable
	feed []interp.Array // the operands, then dy
	wrt  []int          // which operands have gradients
}

func differentiate(t *testing.T, g graph, y *gorgonia.Node, operands ...operand) *differentiated {
	t.Helper()
	d := &differentiated{t: t}
	r := rand.New(rand.NewPCG(5, 6))
	var wrt gorgonia.Nodes
	for i, o := range operands {
		a := interp.Zeros(o.shape...)
		for k := range a.V {
			a.V[k] = o.draw(r, k, len(a.V))
		}
		d.feed = append(d.feed, a)
		if !o.fixed {
			d.wrt, wrt = append(d.wrt, i), append(wrt, g.in[i])
		}
	}
	dy := interp.Zeros(y.Shape()...)
	for k := range dy.V {
		dy.V[k] = r.NormFloat64()
	}
	d.feed = append(d.feed, dy)
	seed := input(g.g, "dy", y.Shape()...)
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, gorgonia.Nodes{seed}, wrt)
	if err != nil {
		t.Fatal(err)
	}
	d.x, err = interp.New(engine.Program{Graph: g.g, Segments: []engine.Segment{{
		Name: "test", Feeds: append(append(gorgonia.Nodes{}, g.in...), seed), Fetches: append(gorgonia.Nodes{y}, grads...),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *differentiated) run() []interp.Array {
	d.t.Helper()
	out, err := d.x.Run64(0, d.feed...)
	if err != nil {
		d.t.Fatal(err)
	}
	return out
}

// weighted is Σ dy·y.
func (d *differentiated) weighted() float64 {
	y, s := d.run()[0], 0.
	for i, v := range d.feed[len(d.feed)-1].V {
		s += v * y.V[i]
	}
	return s
}

// check compares every value of every gradient with a central difference.
func (d *differentiated) check() {
	d.t.Helper()
	grads := d.run()[1:]
	for j, i := range d.wrt {
		x := d.feed[i].V
		if len(grads[j].V) != len(x) {
			d.t.Fatalf("operand %d has %d values, its gradient %d", i, len(x), len(grads[j].V))
		}
		centralDifferences(d.t, fmt.Sprint("operand ", i), x, grads[j].V, d.weighted)
	}
}

// centralDifferences holds a gradient by x against those of f.
func centralDifferences(t *testing.T, by string, x, gradient []float64, f func() float64) {
	t.Helper()
	const h = 1e-5
	for k, kept := range x {
		x[k] = kept + h
		up := f()
		x[k] = kept - h
		down := f()
		x[k] = kept
		if got, want := gradient[k], (up-down)/(2*h); math.Abs(got-want) > 1e-7*max(1, math.Abs(want)) {
			t.Fatalf("gradient by %s[%d] is %v, central difference %v", by, k, got, want)
		}
	}
}

func TestGradientsAgainstCentralDifferences(t *testing.T) {
	for name, tc := range map[string]struct {
		o  op.Operator
		in []operand
	}{
		"3x3 convolution":            {op.Conv2D{Stride: 1, Pad: 1}, []operand{of(2, 3, 5, 4), of(4, 3, 3, 3)}},
		"3x3 convolution, stride 2":  {op.Conv2D{Stride: 2, Pad: 1}, []operand{of(2, 2, 5, 6), of(3, 2, 3, 3)}},
		"1x1 convolution":            {op.Conv2D{Stride: 1}, []operand{of(2, 3, 3, 2), of(2, 3, 1, 1)}},
		"1x1 convolution, stride 2":  {op.Conv2D{Stride: 2}, []operand{of(2, 3, 4, 5), of(2, 3, 1, 1)}},
		"unpadded convolution":       {op.Conv2D{Stride: 1}, []operand{of(1, 2, 4, 5), of(2, 2, 3, 3)}},
		"batch statistics (N, C)":    {op.BatchStatistics{}, []operand{of(5, 3)}},
		"batch statistics of images": {op.BatchStatistics{}, []operand{of(2, 3, 2, 3)}},
		"normalize (N, C)":           {op.Normalize{Epsilon: 1e-5}, []operand{of(4, 3), {[]int{2, 3}, moments, false}, of(3), of(3)}},
		"normalize images":           {op.Normalize{Epsilon: 1e-5}, []operand{of(2, 3, 2, 2), {[]int{2, 3}, moments, false}, of(3), of(3)}},
		"ReLU":                       {op.ReLU{}, []operand{{[]int{2, 3, 2, 2}, awayFromZero, false}}},
		"softplus":                   {op.Softplus{}, []operand{of(2, 3, 2, 2)}},
		"add":                        {op.Add{}, []operand{of(2, 3), of(2, 3)}},
		"global average pooling":     {op.GlobalAveragePool{}, []operand{of(2, 3, 2, 4)}},
		"max pooling":                {op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, []operand{of(2, 3, 6, 5)}},
		"max pooling, unpadded":      {op.MaxPool2D{Size: 2, Stride: 2}, []operand{of(2, 3, 4, 5)}},
		"average pooling":            {op.AveragePool2D{Size: 2, Stride: 2, After: 1, CountZeros: true}, []operand{of(2, 3, 4, 5)}},
		"average pooling, stride 1":  {op.AveragePool2D{Size: 2, Stride: 1, After: 1}, []operand{of(2, 3, 4, 3)}},
		"average pooling, unpadded":  {op.AveragePool2D{Size: 3, Stride: 2}, []operand{of(2, 3, 5, 6)}},
		"sum of streams":             {op.SumStreams{}, []operand{of(3, 4)}},
		"repeated streams":           {op.RepeatStreams{}, []operand{of(3, 4)}},
		"softmax over streams":       {op.StreamSoftmax{}, []operand{of(3, 4)}},
		"mixed streams":              {op.MixStreams{}, []operand{of(2, 6, 2, 3), of(2, 6)}},
		"dense":                      {op.Dense{}, []operand{of(4, 3), of(2, 3)}},
		"bias":                       {op.AddBias{}, []operand{of(4, 3), of(3)}},
		"NT-Xent":                    {op.NTXent{Temperature: 0.5}, []operand{of(8, 3)}},
		"NT-Xent, one pair":          {op.NTXent{Temperature: 0.5}, []operand{of(2, 3)}},
		"NT-Xent, temperature 0.1":   {op.NTXent{Temperature: 0.1}, []operand{of(6, 4)}},
		"softmax cross entropy":      {op.SoftmaxCrossEntropy{}, []operand{of(4, 3), {[]int{4}, classes, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraph(tc.in...)
			differentiate(t, g, must(t, tc.o, g.in...), tc.in...).check()
		})
	}
}

// Where a value is used more than once gorgonia adds the gradients up; batch norm's x is used by the
// statistics and by the normalisation, a residual block's by both branches.
func TestGradientsOfSharedValues(t *testing.T) {
	for name, tc := range map[string]struct {
		in    []operand
		build func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node
	}{
		"batch norm": {[]operand{of(3, 2, 2, 2), of(2), of(2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.Normalize{Epsilon: 1e-5}, in[0], must(t, op.BatchStatistics{}, in[0]), in[1], in[2])
		}},
		"batch norm of a dense layer": {[]operand{of(5, 2), of(2), of(2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.Normalize{Epsilon: 1e-5}, in[0], must(t, op.BatchStatistics{}, in[0]), in[1], in[2])
		}},
		"residual block": {[]operand{of(2, 2, 3, 3), of(2, 2, 3, 3)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			x := must(t, op.Softplus{}, in[0])
			y := must(t, op.Softplus{}, must(t, op.Conv2D{Stride: 1, Pad: 1}, x, in[1]))
			return must(t, op.Add{}, must(t, op.Add{}, y, x), y)
		}},
		"one value added to itself": {[]operand{of(2, 3)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.Add{}, in[0], in[0])
		}},
		"one weight in two layers": {[]operand{of(3, 2), of(2, 2)}, func(t *testing.T, in gorgonia.Nodes) *gorgonia.Node {
			return must(t, op.Dense{}, must(t, op.Softplus{}, must(t, op.Dense{}, in[0], in[1])), in[1])
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraph(tc.in...)
			differentiate(t, g, tc.build(t, g.in), tc.in...).check()
		})
	}
}
