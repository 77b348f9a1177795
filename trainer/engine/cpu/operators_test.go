package cpu

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

// How cases are written: operands of normal values, statistics and labels, and an operator of some.
var n, stats, labels, of = optest.Normal, optest.Statistics, optest.Labels, optest.Of

// drawn is an operand's values in float32.
func drawn(o optest.Operand, r *rand.Rand) engine.Tensor {
	t := engine.Tensor{Shape: o.Shape}
	for _, v := range o.Draw(r) {
		t.Data = append(t.Data, float32(v))
	}
	return t
}

func convolutions() map[string]optest.Case {
	cases := map[string]optest.Case{}
	for _, c := range []struct{ in, out, size, k, stride int }{
		{3, 16, 8, 3, 1}, {3, 8, 7, 3, 1}, {16, 32, 8, 3, 2}, {16, 32, 8, 1, 2}, {32, 32, 4, 3, 1}, {6, 10, 5, 3, 1}, {8, 24, 9, 3, 2}, {64, 128, 4, 1, 1}, {20, 48, 6, 3, 1}, {16, 33, 6, 3, 2}, {3, 19, 6, 3, 1}, {8, 16, 9, 3, 2}, {48, 24, 6, 3, 1}, {16, 16, 32, 3, 1}, {64, 64, 16, 3, 1}, {128, 64, 7, 3, 1}, {256, 256, 5, 3, 1}, {256, 272, 5, 3, 1}, {32, 64, 9, 3, 1}, {64, 16, 6, 3, 1}, {16, 48, 7, 3, 1},
	} {
		pad := c.k / 2
		out := (c.size+2*pad-c.k)/c.stride + 1
		name := fmt.Sprintf("%d to %d channels, %d px, k %d, stride %d", c.in, c.out, c.size, c.k, c.stride)
		cases["conv "+name] = of(op.Conv2D{Stride: c.stride, Pad: pad}, n(3, c.in, c.size, c.size), n(c.out, c.in, c.k, c.k))
		cases["conv dx "+name] = of(op.Conv2DGradInput{Stride: c.stride, Pad: pad, N: 3, C: c.in, H: c.size, W: c.size}, n(c.out, c.in, c.k, c.k), n(3, c.out, out, out))
		cases["conv dw "+name] = of(op.Conv2DGradWeight{Stride: c.stride, Pad: pad, O: c.out, C: c.in, K: c.k}, n(3, c.in, c.size, c.size), n(3, c.out, out, out))
	}
	return cases
}

func operatorCases() map[string]optest.Case {
	cases := convolutions()
	for _, c := range []int{3, 8, 16, 20, 48} {
		for name, x := range map[string]optest.Operand{"4": n(5, c, 3, 4), "2": n(7, c)} {
			name = fmt.Sprintf(" rank %s, %d channels", name, c)
			cases["statistics"+name] = of(op.BatchStatistics{}, x)
			cases["statistics dx"+name] = of(op.BatchStatisticsGrad{}, x, stats(c), n(2, c))
			cases["normalize"+name] = of(op.Normalize{Epsilon: 1e-5}, x, stats(c), n(c), n(c))
			cases["normalize dx"+name] = of(op.NormalizeGradInput{Epsilon: 1e-5}, x, stats(c), n(c))
			cases["normalize dstats"+name] = of(op.NormalizeGradStatistics{Epsilon: 1e-5}, x, x, stats(c), n(c))
			cases["normalize dgamma"+name] = of(op.NormalizeGradGamma{Epsilon: 1e-5}, x, x, stats(c))
			cases["normalize dbeta"+name] = of(op.NormalizeGradBeta{}, x)
		}
	}
	maps.Copy(cases, poolings())
	maps.Copy(cases, streamCases())
	x := n(4, 5, 3, 3)
	maps.Copy(cases, map[string]optest.Case{
		"running":        of(op.RunningStatistics{Momentum: 0.1, Count: 12}, n(2, 5), stats(5)),
		"relu":           of(op.ReLU{}, x),
		"relu dx":        of(op.ReLUGrad{}, x, x),
		"softplus":       of(op.Softplus{}, x),
		"softplus dx":    of(op.SoftplusGrad{}, x, x),
		"add":            of(op.Add{}, x, x),
		"pool":           of(op.GlobalAveragePool{}, n(3, 16, 4, 4)),
		"pool odd":       of(op.GlobalAveragePool{}, n(3, 5, 4, 4)),
		"pool dx":        of(op.GlobalAveragePoolGrad{H: 4, W: 4}, n(3, 24)),
		"dense":          of(op.Dense{}, n(6, 9), n(4, 9)),
		"dense dx":       of(op.DenseGradInput{}, n(4, 9), n(6, 4)),
		"dense dw":       of(op.DenseGradWeight{}, n(6, 9), n(6, 4)),
		"bias":           of(op.AddBias{}, n(6, 9), n(9)),
		"bias db":        of(op.BiasGrad{}, n(6, 9)),
		"ntxent":         of(op.NTXent{Temperature: 0.1}, n(300, 16)),
		"ntxent dz":      of(op.NTXentGrad{Temperature: 0.5}, n(300, 16), n(1)),
		"ntxent, sharp":  of(op.NTXent{Temperature: 0.005}, n(300, 64)),
		"sharp dz":       of(op.NTXentGrad{Temperature: 0.005}, n(300, 64), n(1)),
		"accuracy":       of(op.ContrastiveAccuracy{}, n(300, 4)),
		"softmax":        of(op.SoftmaxCrossEntropy{}, n(8, 3), labels(8)),
		"softmax dx":     of(op.SoftmaxCrossEntropyGrad{}, n(8, 3), labels(8), n(1)),
		"lars":           of(op.LARSVelocity{Momentum: 0.9, WeightDecay: 0.1, TrustCoefficient: 0.001}, n(9, 300), n(9, 300), n(9, 300), n(1)),
		"lars, excluded": of(op.LARSVelocity{Momentum: 0.9, WeightDecay: 0.1, TrustCoefficient: 0.001, Exclude: true}, n(9), n(9), n(9), n(1)),
		"apply velocity": of(op.ApplyVelocity{}, n(9, 3), n(9, 3)),
		"nesterov v":     of(op.NesterovVelocity{Momentum: 0.9, WeightDecay: 0.1}, n(9, 3), n(9, 3), n(9, 3)),
		"nesterov w":     of(op.NesterovUpdate{Momentum: 0.9, WeightDecay: 0.1}, n(9, 3), n(9, 3), n(9, 3), n(1)),
		"sgd":            of(op.SGDUpdate{}, n(9, 3), n(9, 3), n(1)),
	})
	return cases
}

func run(t *testing.T, e engine.Engine, p engine.Program, feeds ...engine.Tensor) []engine.Tensor {
	t.Helper()
	x, err := e.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Run(0, feeds...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// difference is the largest one, relative to the wanted tensor's largest value.
func difference(got, want engine.Tensor) float64 { return optest.Far(got.Data, want.Data) }

func newEngine(t testing.TB, options ...Option) *Engine {
	t.Helper()
	e, err := New(2, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// extreme values, and what an operator makes of them.
type extreme struct {
	o    op.Operator
	in   []engine.Tensor
	want []float32
}

func onBothEngines(t *testing.T, cases map[string]extreme) {
	for _, e := range []engine.Engine{newEngine(t), interp.Engine{}} {
		for name, tc := range cases {
			t.Run(name+" on "+e.Name(), func(t *testing.T) {
				c := of(tc.o)
				for _, v := range tc.in {
					c.In = append(c.In, n(v.Shape...))
				}
				if d := cmp.Diff(tc.want, run(t, e, c.Alone(t), tc.in...)[0].Data, cmpopts.EquateNaNs()); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// Values at the edge of what floats can say.
func TestExtremeValues(t *testing.T) {
	nan := float32(math.NaN())
	onBothEngines(t, map[string]extreme{
		"cross entropy of logits far apart": {op.SoftmaxCrossEntropy{}, []engine.Tensor{{Shape: []int{1, 2}, Data: []float32{0, 2000}}, {Shape: []int{1}, Data: []float32{0}}}, []float32{2000}},
		"its gradient":                      {op.SoftmaxCrossEntropyGrad{}, []engine.Tensor{{Shape: []int{1, 2}, Data: []float32{0, 2000}}, {Shape: []int{1}, Data: []float32{0}}, {Shape: []int{1}, Data: []float32{1}}}, []float32{-1, 1}},
		"ReLU keeps NaN":                    {op.ReLU{}, []engine.Tensor{{Shape: []int{1, 3}, Data: []float32{nan, -1, 2}}}, []float32{nan, 0, 2}},
		"running statistics of one value":   {op.RunningStatistics{Momentum: 0.5, Count: 1}, []engine.Tensor{{Shape: []int{2, 1}, Data: []float32{2, 1}}, {Shape: []int{2, 1}, Data: []float32{4, 0}}}, []float32{3, 0.5}},
	})
}

// Bounds of an operator's error, of the largest value. Winograd's transforms lose two or three bits. A
// bfloat16 has 8 bits: operands and results are rounded once each.
const (
	roundingFP32 = 1e-5
	roundingBF16 = 1.5e-2
)

// refusesBF16 checks that a CPU without AVX-512 says that it cannot run a program of bfloat16; false where it can.
func refusesBF16(t *testing.T, e *Engine, p engine.Program) bool {
	t.Helper()
	if preferred(16) == 16 {
		return false
	}
	p.Precision = engine.BF16
	if _, err := e.Compile(p); !errors.Is(err, ErrNoBF16) {
		t.Errorf("without AVX-512: %v", err)
	}
	return true
}

func TestOperatorsAgainstInterpreter(t *testing.T) {
	for how, on := range map[string]struct {
		e         *Engine
		precision engine.Precision
		within    float64
	}{
		"direct":   {newEngine(t, Direct), engine.FP32, roundingFP32},
		"Winograd": {newEngine(t), engine.FP32, roundingFP32},
		"BF16":     {newEngine(t), engine.BF16, roundingBF16},
	} {
		t.Run(how, func(t *testing.T) {
			for name, tc := range operatorCases() {
				t.Run(name, func(t *testing.T) {
					r := rand.New(rand.NewPCG(3, 4))
					var feeds []engine.Tensor
					for _, o := range tc.In {
						feeds = append(feeds, drawn(o, r))
					}
					p := tc.Alone(t)
					want := run(t, interp.Engine{}, p, feeds...)[0]
					p.Precision = on.precision
					if on.precision == engine.BF16 && refusesBF16(t, on.e, p) {
						return
					}
					if d := difference(run(t, on.e, p, feeds...)[0], want); !(d < on.within) {
						t.Errorf("differs from the interpreter by %.1e of the largest value", d)
					}
				})
			}
		})
	}
}
