package xla

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

// How cases are written: operands of normal values, statistics and labels, and an operator of some.
var n, stats, labels, of = optest.Normal, optest.Statistics, optest.Labels, optest.Of

func convolutions(cases map[string]optest.Case) {
	for _, c := range []struct{ in, out, size, k, stride int }{
		{3, 8, 8, 7, 2}, {3, 8, 7, 3, 1}, {4, 6, 8, 3, 2}, {4, 6, 7, 3, 2}, {4, 6, 8, 1, 2}, {4, 6, 7, 1, 2}, {4, 6, 5, 1, 1}, {2, 2, 1, 3, 1},
	} {
		pad := c.k / 2
		out := (c.size+2*pad-c.k)/c.stride + 1
		name := fmt.Sprintf("conv of %d px by %d×%d, stride %d", c.size, c.k, c.k, c.stride)
		cases[name] = of(op.Conv2D{Stride: c.stride, Pad: pad}, n(3, c.in, c.size, c.size), n(c.out, c.in, c.k, c.k))
		cases[name+", dx"] = of(op.Conv2DGradInput{Stride: c.stride, Pad: pad, N: 3, C: c.in, H: c.size, W: c.size}, n(c.out, c.in, c.k, c.k), n(3, c.out, out, out))
		cases[name+", dw"] = of(op.Conv2DGradWeight{Stride: c.stride, Pad: pad, O: c.out, C: c.in, K: c.k}, n(3, c.in, c.size, c.size), n(3, c.out, out, out))
	}
}

func batchNorms(cases map[string]optest.Case) {
	for name, x := range map[string]optest.Operand{"images": n(5, 3, 3, 4), "pixels": n(9, 3, 1, 1), "rows": n(7, 3)} {
		cases["statistics of "+name] = of(op.BatchStatistics{}, x)
		cases["statistics' dx of "+name] = of(op.BatchStatisticsGrad{}, x, stats(3), n(2, 3))
		cases["normalize "+name] = of(op.Normalize{Epsilon: 1e-5}, x, stats(3), n(3), n(3))
		cases["normalize dx of "+name] = of(op.NormalizeGradInput{Epsilon: 1e-5}, x, stats(3), n(3))
		cases["normalize dstats of "+name] = of(op.NormalizeGradStatistics{Epsilon: 1e-5}, x, x, stats(3), n(3))
		cases["normalize dγ of "+name] = of(op.NormalizeGradGamma{Epsilon: 1e-5}, x, x, stats(3))
		cases["normalize dβ of "+name] = of(op.NormalizeGradBeta{}, x)
	}
	cases["running statistics"] = of(op.RunningStatistics{Momentum: 0.1, Count: 12}, n(2, 5), stats(5))
	cases["running statistics of one value"] = of(op.RunningStatistics{Momentum: 0.1, Count: 1}, n(2, 5), stats(5))
}

func pools(cases map[string]optest.Case) {
	for _, size := range []int{1, 6, 7} {
		o := op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}
		name, out := fmt.Sprintf(" of %d px", size), (size+1)/2
		cases["max pool"+name] = of(o, n(3, 2, size, size))
		cases["max pool dx"+name] = of(op.MaxPool2DGrad(o), n(3, 2, size, size), n(3, 2, out, out))
		for how, a := range map[string]op.AveragePool2D{"halving": {Size: 2, Stride: 2, After: 1, CountZeros: true}, "smoothing": {Size: 2, Stride: 1, After: 1}} {
			out := (size+a.After-a.Size)/a.Stride + 1
			cases[how+name] = of(a, n(3, 2, size, size))
			cases[how+" dx"+name] = of(op.AveragePool2DGrad{AveragePool2D: a, H: size, W: size}, n(3, 2, out, out))
		}
	}
	cases["global average pool"] = of(op.GlobalAveragePool{}, n(3, 5, 4, 3))
	cases["global average pool dx"] = of(op.GlobalAveragePoolGrad{H: 4, W: 3}, n(3, 5))
}

func streams(cases map[string]optest.Case) {
	x, a, y := n(3, 10, 3, 4), n(3, 10), n(3, 5, 3, 4)
	cases["sum of streams"] = of(op.SumStreams{}, a)
	cases["repeated streams"] = of(op.RepeatStreams{}, n(3, 5))
	cases["softmax over streams"] = of(op.StreamSoftmax{}, a)
	cases["softmax over streams dx"] = of(op.StreamSoftmaxGrad{}, a, a)
	cases["mix streams"] = of(op.MixStreams{}, x, a)
	cases["mix streams dx"] = of(op.MixStreamsGradInput{}, a, y)
	cases["mix streams da"] = of(op.MixStreamsGradWeight{}, x, y)
}

func losses(cases map[string]optest.Case) {
	for name, z := range map[string]optest.Operand{"": n(14, 4), " of one image": n(2, 4), " in blocks": n(1100, 3)} {
		cases["NT-Xent"+name] = of(op.NTXent{Temperature: 0.1}, z)
		cases["NT-Xent dz"+name] = of(op.NTXentGrad{Temperature: 0.5}, z, n(1))
		cases["contrastive accuracy"+name] = of(op.ContrastiveAccuracy{}, z)
	}
	cases["NT-Xent, sharp"] = of(op.NTXent{Temperature: 0.005}, n(30, 64))
	cases["NT-Xent dz, sharp"] = of(op.NTXentGrad{Temperature: 0.005}, n(30, 64), n(1))
	labels := labels(8)
	cases["cross entropy"] = of(op.SoftmaxCrossEntropy{}, n(8, 3), labels)
	cases["cross entropy dx"] = of(op.SoftmaxCrossEntropyGrad{}, n(8, 3), labels, n(1))
}

func updates(cases map[string]optest.Case) {
	w := n(9, 3, 3, 3)
	lars := op.LARSVelocity{Momentum: 0.9, WeightDecay: 0.1, TrustCoefficient: 0.001}
	cases["LARS"] = of(lars, w, w, w, n(1))
	lars.Exclude = true
	cases["LARS, excluded"] = of(lars, n(9), n(9), n(9), n(1))
	cases["apply velocity"] = of(op.ApplyVelocity{}, w, w)
	cases["Nesterov's velocity"] = of(op.NesterovVelocity{Momentum: 0.9, WeightDecay: 0.1}, w, w, w)
	cases["Nesterov's update"] = of(op.NesterovUpdate{Momentum: 0.9, WeightDecay: 0.1}, w, w, w, n(1))
	cases["SGD"] = of(op.SGDUpdate{}, w, w, n(1))
}

func operatorCases() map[string]optest.Case {
	x := n(4, 5, 3, 3)
	cases := map[string]optest.Case{
		"ReLU": of(op.ReLU{}, x), "ReLU dx": of(op.ReLUGrad{}, x, x),
		"softplus": of(op.Softplus{}, x), "softplus dx": of(op.SoftplusGrad{}, x, x),
		"add": of(op.Add{}, x, x), "sum over one worker": of(op.SumOverWorkers{Workers: 1}, n(2, 5)),
		"dense": of(op.Dense{}, n(6, 9), n(4, 9)), "dense dx": of(op.DenseGradInput{}, n(4, 9), n(6, 4)),
		"dense dw": of(op.DenseGradWeight{}, n(6, 9), n(6, 4)),
		"bias":     of(op.AddBias{}, n(6, 9), n(9)), "bias db": of(op.BiasGrad{}, n(6, 9)),
	}
	for _, more := range []func(map[string]optest.Case){convolutions, batchNorms, pools, streams, losses, updates} {
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
		if p := tc.Alone(t); text(t, p, "tpu") != text(t, p, e.info.Platform) {
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

func againstInterpreter(t *testing.T, e *Engine, tc optest.Case) {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	var arrays []interp.Array
	var feeds [][]float64
	for _, o := range tc.In {
		a := interp.Array{Shape: o.Shape, V: o.Draw(r)}
		arrays, feeds = append(arrays, a), append(feeds, a.V)
	}
	p := tc.Alone(t)
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
	if d := optest.Far(got[0], want[0].V); !(d < 1e-9) {
		t.Errorf("differs from the interpreter by %.1e of the largest value", d)
	}
	if err := x.Close(); err != nil {
		t.Error(err)
	}
}
