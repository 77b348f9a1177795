package xla

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// operand of a case: labels and statistics have values of their own kind.
type operand struct {
	shape []int
	kind  string // "": normal; "labels": class ids below 3; "stats": mean and positive variance; "softmax": of two streams
}

func n(shape ...int) operand { return operand{shape: shape} }
func stats(c int) operand    { return operand{[]int{2, c}, "stats"} }

func (o operand) draw(r *rand.Rand) interp.Array {
	a := interp.Zeros(o.shape...)
	for i := range a.V {
		switch {
		case o.kind == "labels":
			a.V[i] = float64(r.IntN(3))
		case o.kind == "stats" && i >= len(a.V)/2:
			a.V[i] = 0.5 + r.Float64()
		default:
			a.V[i] = r.NormFloat64()
		}
	}
	return a
}

type operatorCase struct {
	o  op.Operator
	in []operand
}

// alone is a program of one operator.
func alone(t *testing.T, c operatorCase) engine.Program {
	t.Helper()
	g := gorgonia.NewGraph()
	var in gorgonia.Nodes
	for i, o := range c.in {
		in = append(in, gorgonia.NewTensor(g, tensor.Float32, len(o.shape), gorgonia.WithShape(o.shape...), gorgonia.WithName(fmt.Sprint("in", i))))
	}
	y, err := op.Apply(c.o, in...)
	if err != nil {
		t.Fatal(err)
	}
	return engine.Program{Graph: g, Segments: []engine.Segment{{Name: "alone", Feeds: in, Fetches: gorgonia.Nodes{y}}}}
}

// far is the largest difference, relative to the largest value wanted.
func far[T float32 | float64](got, want []T) float64 {
	worst, largest := 0., 1e-30
	for i, w := range want {
		if math.IsNaN(float64(got[i])) != math.IsNaN(float64(w)) {
			return math.Inf(1)
		}
		worst, largest = max(worst, math.Abs(float64(got[i])-float64(w))), max(largest, math.Abs(float64(w)))
	}
	return worst / largest
}

func convolutions(cases map[string]operatorCase) {
	for _, c := range []struct{ in, out, size, k, stride int }{
		{3, 8, 8, 7, 2}, {3, 8, 7, 3, 1}, {4, 6, 8, 3, 2}, {4, 6, 7, 3, 2}, {4, 6, 8, 1, 2}, {4, 6, 7, 1, 2}, {4, 6, 5, 1, 1}, {2, 2, 1, 3, 1},
	} {
		pad := c.k / 2
		out := (c.size+2*pad-c.k)/c.stride + 1
		name := fmt.Sprintf("conv of %d px by %d×%d, stride %d", c.size, c.k, c.k, c.stride)
		cases[name] = operatorCase{op.Conv2D{Stride: c.stride, Pad: pad}, []operand{n(3, c.in, c.size, c.size), n(c.out, c.in, c.k, c.k)}}
		cases[name+", dx"] = operatorCase{op.Conv2DGradInput{Stride: c.stride, Pad: pad, N: 3, C: c.in, H: c.size, W: c.size},
			[]operand{n(c.out, c.in, c.k, c.k), n(3, c.out, out, out)}}
		cases[name+", dw"] = operatorCase{op.Conv2DGradWeight{Stride: c.stride, Pad: pad, O: c.out, C: c.in, K: c.k},
			[]operand{n(3, c.in, c.size, c.size), n(3, c.out, out, out)}}
	}
}

func batchNorms(cases map[string]operatorCase) {
	for name, x := range map[string]operand{"images": n(5, 3, 3, 4), "pixels": n(9, 3, 1, 1), "rows": n(7, 3)} {
		cases["statistics of "+name] = operatorCase{op.BatchStatistics{}, []operand{x}}
		cases["statistics' dx of "+name] = operatorCase{op.BatchStatisticsGrad{}, []operand{x, stats(3), n(2, 3)}}
		cases["normalize "+name] = operatorCase{op.Normalize{Epsilon: 1e-5}, []operand{x, stats(3), n(3), n(3)}}
		cases["normalize dx of "+name] = operatorCase{op.NormalizeGradInput{Epsilon: 1e-5}, []operand{x, stats(3), n(3)}}
		cases["normalize dstats of "+name] = operatorCase{op.NormalizeGradStatistics{Epsilon: 1e-5}, []operand{x, x, stats(3), n(3)}}
		cases["normalize dγ of "+name] = operatorCase{op.NormalizeGradGamma{Epsilon: 1e-5}, []operand{x, x, stats(3)}}
		cases["normalize dβ of "+name] = operatorCase{op.NormalizeGradBeta{}, []operand{x}}
	}
	cases["running statistics"] = operatorCase{op.RunningStatistics{Momentum: 0.1, Count: 12}, []operand{n(2, 5), stats(5)}}
	cases["running statistics of one value"] = operatorCase{op.RunningStatistics{Momentum: 0.1, Count: 1}, []operand{n(2, 5), stats(5)}}
}

func pools(cases map[string]operatorCase) {
	for _, size := range []int{1, 6, 7} {
		o := op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}
		name, out := fmt.Sprintf(" of %d px", size), (size+1)/2
		cases["max pool"+name] = operatorCase{o, []operand{n(3, 2, size, size)}}
		cases["max pool dx"+name] = operatorCase{op.MaxPool2DGrad(o), []operand{n(3, 2, size, size), n(3, 2, out, out)}}
		for how, a := range map[string]op.AveragePool2D{"halving": {Size: 2, Stride: 2, After: 1, CountZeros: true}, "smoothing": {Size: 2, Stride: 1, After: 1}} {
			out := (size+a.After-a.Size)/a.Stride + 1
			cases[how+name] = operatorCase{a, []operand{n(3, 2, size, size)}}
			cases[how+" dx"+name] = operatorCase{op.AveragePool2DGrad{AveragePool2D: a, H: size, W: size}, []operand{n(3, 2, out, out)}}
		}
	}
	cases["global average pool"] = operatorCase{op.GlobalAveragePool{}, []operand{n(3, 5, 4, 3)}}
	cases["global average pool dx"] = operatorCase{op.GlobalAveragePoolGrad{H: 4, W: 3}, []operand{n(3, 5)}}
}

func streams(cases map[string]operatorCase) {
	x, a, y := n(3, 10, 3, 4), n(3, 10), n(3, 5, 3, 4)
	cases["sum of streams"] = operatorCase{op.SumStreams{}, []operand{a}}
	cases["repeated streams"] = operatorCase{op.RepeatStreams{}, []operand{n(3, 5)}}
	cases["softmax over streams"] = operatorCase{op.StreamSoftmax{}, []operand{a}}
	cases["softmax over streams dx"] = operatorCase{op.StreamSoftmaxGrad{}, []operand{a, a}}
	cases["mix streams"] = operatorCase{op.MixStreams{}, []operand{x, a}}
	cases["mix streams dx"] = operatorCase{op.MixStreamsGradInput{}, []operand{a, y}}
	cases["mix streams da"] = operatorCase{op.MixStreamsGradWeight{}, []operand{x, y}}
}

func losses(cases map[string]operatorCase) {
	for name, z := range map[string]operand{"": n(14, 4), " of one image": n(2, 4), " in blocks": n(1100, 3)} {
		cases["NT-Xent"+name] = operatorCase{op.NTXent{Temperature: 0.1}, []operand{z}}
		cases["NT-Xent dz"+name] = operatorCase{op.NTXentGrad{Temperature: 0.5}, []operand{z, n(1)}}
		cases["contrastive accuracy"+name] = operatorCase{op.ContrastiveAccuracy{}, []operand{z}}
	}
	cases["NT-Xent, sharp"] = operatorCase{op.NTXent{Temperature: 0.005}, []operand{n(30, 64)}}
	cases["NT-Xent dz, sharp"] = operatorCase{op.NTXentGrad{Temperature: 0.005}, []operand{n(30, 64), n(1)}}
	labels := operand{[]int{8}, "labels"}
	cases["cross entropy"] = operatorCase{op.SoftmaxCrossEntropy{}, []operand{n(8, 3), labels}}
	cases["cross entropy dx"] = operatorCase{op.SoftmaxCrossEntropyGrad{}, []operand{n(8, 3), labels, n(1)}}
}

func updates(cases map[string]operatorCase) {
	w := n(9, 3, 3, 3)
	lars := op.LARSVelocity{Momentum: 0.9, WeightDecay: 0.1, TrustCoefficient: 0.001}
	cases["LARS"] = operatorCase{lars, []operand{w, w, w, n(1)}}
	lars.Exclude = true
	cases["LARS, excluded"] = operatorCase{lars, []operand{n(9), n(9), n(9), n(1)}}
	cases["apply velocity"] = operatorCase{op.ApplyVelocity{}, []operand{w, w}}
	cases["Nesterov's velocity"] = operatorCase{op.NesterovVelocity{Momentum: 0.9, WeightDecay: 0.1}, []operand{w, w, w}}
	cases["Nesterov's update"] = operatorCase{op.NesterovUpdate{Momentum: 0.9, WeightDecay: 0.1}, []operand{w, w, w, n(1)}}
	cases["SGD"] = operatorCase{op.SGDUpdate{}, []operand{w, w, n(1)}}
}

func operatorCases() map[string]operatorCase {
	x := n(4, 5, 3, 3)
	cases := map[string]operatorCase{
		"ReLU": {op.ReLU{}, []operand{x}}, "ReLU dx": {op.ReLUGrad{}, []operand{x, x}},
		"softplus": {op.Softplus{}, []operand{x}}, "softplus dx": {op.SoftplusGrad{}, []operand{x, x}},
		"add": {op.Add{}, []operand{x, x}}, "sum over one worker": {op.SumOverWorkers{Workers: 1}, []operand{n(2, 5)}},
		"dense": {op.Dense{}, []operand{n(6, 9), n(4, 9)}}, "dense dx": {op.DenseGradInput{}, []operand{n(4, 9), n(6, 4)}},
		"dense dw": {op.DenseGradWeight{}, []operand{n(6, 9), n(6, 4)}},
		"bias":     {op.AddBias{}, []operand{n(6, 9), n(9)}}, "bias db": {op.BiasGrad{}, []operand{n(6, 9)}},
	}
	for _, more := range []func(map[string]operatorCase){convolutions, batchNorms, pools, streams, losses, updates} {
		more(cases)
	}
	return cases
}

// Every operator, forward and as a gradient, in float64; those that are written otherwise for TPUs also so.
func TestOperatorsAgainstInterpreter(t *testing.T) {
	e := newEngine(t, 1, true)
	other := asTPU(t, 1)
	otherwise := 0
	for name, tc := range operatorCases() {
		t.Run(name, func(t *testing.T) { againstInterpreter(t, e, tc) })
		if p := alone(t, tc); text(t, p, "tpu") != text(t, p, e.info.Platform) {
			otherwise++
			t.Run(name+" on a TPU", func(t *testing.T) { againstInterpreter(t, other, tc) })
		}
	}
	if otherwise == 0 {
		t.Error("no operator is written otherwise for TPUs")
	}
}

// text of a program's first segment for a platform.
func text(t *testing.T, p engine.Program, platform string) string {
	t.Helper()
	programs, err := emit.Programs(p, emit.Options{Platform: platform})
	if err != nil {
		t.Fatal(err)
	}
	return string(programs[0].Text)
}

func againstInterpreter(t *testing.T, e *Engine, tc operatorCase) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var arrays []interp.Array
	var feeds [][]float64
	for _, o := range tc.in {
		a := o.draw(r)
		arrays, feeds = append(arrays, a), append(feeds, a.V)
	}
	p := alone(t, tc)
	i, err := interp.New(p)
	if err != nil {
		t.Fatal(err)
	}
	want, err := i.Run64(0, arrays...)
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.New(p)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x.Run64(0, feeds...)
	if err != nil {
		t.Fatal(err)
	}
	if d := far(got[0], want[0].V); !(d < 1e-9) {
		t.Errorf("differs from the interpreter by %.1e of the largest value", d)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}
