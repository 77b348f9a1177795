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
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// operand shapes of a test case; labels and statistics need values of their own kind.
type operand struct {
	shape []int
	kind  string // "": normal; "labels": class ids below 3; "stats": mean and positive variance
}

func (o operand) draw(r *rand.Rand) engine.Tensor {
	t := engine.NewTensor(o.shape...)
	for i := range t.Data {
		switch {
		case o.kind == "labels":
			t.Data[i] = float32(r.IntN(3))
		case o.kind == "stats" && i >= len(t.Data)/2:
			t.Data[i] = 0.5 + r.Float32()
		default:
			t.Data[i] = float32(r.NormFloat64())
		}
	}
	return t
}

func n(shape ...int) operand { return operand{shape: shape} }
func stats(c int) operand    { return operand{[]int{2, c}, "stats"} }

func convolutions() map[string]operatorCase {
	cases := map[string]operatorCase{}
	for _, c := range []struct{ in, out, size, k, stride int }{
		{3, 16, 8, 3, 1}, {3, 8, 7, 3, 1}, {16, 32, 8, 3, 2}, {16, 32, 8, 1, 2}, {32, 32, 4, 3, 1}, {6, 10, 5, 3, 1}, {8, 24, 9, 3, 2}, {64, 128, 4, 1, 1}, {20, 48, 6, 3, 1}, {16, 33, 6, 3, 2}, {3, 19, 6, 3, 1}, {8, 16, 9, 3, 2}, {48, 24, 6, 3, 1}, {16, 16, 32, 3, 1}, {64, 64, 16, 3, 1}, {128, 64, 7, 3, 1}, {256, 256, 5, 3, 1}, {256, 272, 5, 3, 1}, {32, 64, 9, 3, 1}, {64, 16, 6, 3, 1}, {16, 48, 7, 3, 1},
	} {
		pad := c.k / 2
		out := (c.size+2*pad-c.k)/c.stride + 1
		name := fmt.Sprintf("%d to %d channels, %d px, k %d, stride %d", c.in, c.out, c.size, c.k, c.stride)
		cases["conv "+name] = operatorCase{op.Conv2D{Stride: c.stride, Pad: pad}, []operand{n(3, c.in, c.size, c.size), n(c.out, c.in, c.k, c.k)}}
		cases["conv dx "+name] = operatorCase{op.Conv2DGradInput{Stride: c.stride, Pad: pad, N: 3, C: c.in, H: c.size, W: c.size},
			[]operand{n(c.out, c.in, c.k, c.k), n(3, c.out, out, out)}}
		cases["conv dw "+name] = operatorCase{op.Conv2DGradWeight{Stride: c.stride, Pad: pad, O: c.out, C: c.in, K: c.k},
			[]operand{n(3, c.in, c.size, c.size), n(3, c.out, out, out)}}
	}
	return cases
}

type operatorCase struct {
	o  op.Operator
	in []operand
}

func operatorCases() map[string]operatorCase {
	cases := convolutions()
	for _, c := range []int{3, 8, 16, 20, 48} {
		for name, x := range map[string]operand{"4": n(5, c, 3, 4), "2": n(7, c)} {
			name = fmt.Sprintf(" rank %s, %d channels", name, c)
			cases["statistics"+name] = operatorCase{op.BatchStatistics{}, []operand{x}}
			cases["statistics dx"+name] = operatorCase{op.BatchStatisticsGrad{}, []operand{x, stats(c), n(2, c)}}
			cases["normalize"+name] = operatorCase{op.Normalize{Epsilon: 1e-5}, []operand{x, stats(c), n(c), n(c)}}
			cases["normalize dx"+name] = operatorCase{op.NormalizeGradInput{Epsilon: 1e-5}, []operand{x, stats(c), n(c)}}
			cases["normalize dstats"+name] = operatorCase{op.NormalizeGradStatistics{Epsilon: 1e-5}, []operand{x, x, stats(c), n(c)}}
			cases["normalize dgamma"+name] = operatorCase{op.NormalizeGradGamma{Epsilon: 1e-5}, []operand{x, x, stats(c)}}
			cases["normalize dbeta"+name] = operatorCase{op.NormalizeGradBeta{}, []operand{x}}
		}
	}
	maps.Copy(cases, poolings())
	maps.Copy(cases, streamCases())
	x := n(4, 5, 3, 3)
	maps.Copy(cases, map[string]operatorCase{
		"running":        {op.RunningStatistics{Momentum: 0.1, Count: 12}, []operand{n(2, 5), stats(5)}},
		"relu":           {op.ReLU{}, []operand{x}},
		"relu dx":        {op.ReLUGrad{}, []operand{x, x}},
		"softplus":       {op.Softplus{}, []operand{x}},
		"softplus dx":    {op.SoftplusGrad{}, []operand{x, x}},
		"add":            {op.Add{}, []operand{x, x}},
		"pool":           {op.GlobalAveragePool{}, []operand{n(3, 16, 4, 4)}},
		"pool odd":       {op.GlobalAveragePool{}, []operand{n(3, 5, 4, 4)}},
		"pool dx":        {op.GlobalAveragePoolGrad{H: 4, W: 4}, []operand{n(3, 24)}},
		"dense":          {op.Dense{}, []operand{n(6, 9), n(4, 9)}},
		"dense dx":       {op.DenseGradInput{}, []operand{n(4, 9), n(6, 4)}},
		"dense dw":       {op.DenseGradWeight{}, []operand{n(6, 9), n(6, 4)}},
		"bias":           {op.AddBias{}, []operand{n(6, 9), n(9)}},
		"bias db":        {op.BiasGrad{}, []operand{n(6, 9)}},
		"ntxent":         {op.NTXent{Temperature: 0.1}, []operand{n(300, 16)}},
		"ntxent dz":      {op.NTXentGrad{Temperature: 0.5}, []operand{n(300, 16), n(1)}},
		"ntxent, sharp":  {op.NTXent{Temperature: 0.005}, []operand{n(300, 64)}},
		"sharp dz":       {op.NTXentGrad{Temperature: 0.005}, []operand{n(300, 64), n(1)}},
		"accuracy":       {op.ContrastiveAccuracy{}, []operand{n(300, 4)}},
		"softmax":        {op.SoftmaxCrossEntropy{}, []operand{n(8, 3), {[]int{8}, "labels"}}},
		"softmax dx":     {op.SoftmaxCrossEntropyGrad{}, []operand{n(8, 3), {[]int{8}, "labels"}, n(1)}},
		"lars":           {op.LARSVelocity{Momentum: 0.9, WeightDecay: 0.1, TrustCoefficient: 0.001}, []operand{n(9, 300), n(9, 300), n(9, 300), n(1)}},
		"lars, excluded": {op.LARSVelocity{Momentum: 0.9, WeightDecay: 0.1, TrustCoefficient: 0.001, Exclude: true}, []operand{n(9), n(9), n(9), n(1)}},
		"apply velocity": {op.ApplyVelocity{}, []operand{n(9, 3), n(9, 3)}},
		"nesterov v":     {op.NesterovVelocity{Momentum: 0.9, WeightDecay: 0.1}, []operand{n(9, 3), n(9, 3), n(9, 3)}},
		"nesterov w":     {op.NesterovUpdate{Momentum: 0.9, WeightDecay: 0.1}, []operand{n(9, 3), n(9, 3), n(9, 3), n(1)}},
		"sgd":            {op.SGDUpdate{}, []operand{n(9, 3), n(9, 3), n(1)}},
	})
	return cases
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
func difference(got, want engine.Tensor) float64 {
	worst, largest := 0., 1e-30
	for i, w := range want.Data {
		worst, largest = max(worst, math.Abs(float64(got.Data[i])-float64(w))), max(largest, math.Abs(float64(w)))
		if math.IsNaN(float64(got.Data[i])) {
			return math.NaN()
		}
	}
	return worst / largest
}

func newEngine(t testing.TB, options ...Option) *Engine {
	t.Helper()
	e, err := New(2, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// Values at the edge of what floats can say, on both engines.
func TestExtremeValues(t *testing.T) {
	nan := float32(math.NaN())
	engines := []engine.Engine{newEngine(t), interp.Engine{}}
	for name, tc := range map[string]struct {
		o    op.Operator
		in   []engine.Tensor
		want []float32
	}{
		"cross entropy of logits far apart": {op.SoftmaxCrossEntropy{}, []engine.Tensor{{Shape: []int{1, 2}, Data: []float32{0, 2000}}, {Shape: []int{1}, Data: []float32{0}}}, []float32{2000}},
		"its gradient":                      {op.SoftmaxCrossEntropyGrad{}, []engine.Tensor{{Shape: []int{1, 2}, Data: []float32{0, 2000}}, {Shape: []int{1}, Data: []float32{0}}, {Shape: []int{1}, Data: []float32{1}}}, []float32{-1, 1}},
		"ReLU keeps NaN":                    {op.ReLU{}, []engine.Tensor{{Shape: []int{1, 3}, Data: []float32{nan, -1, 2}}}, []float32{nan, 0, 2}},
		"running statistics of one value":   {op.RunningStatistics{Momentum: 0.5, Count: 1}, []engine.Tensor{{Shape: []int{2, 1}, Data: []float32{2, 1}}, {Shape: []int{2, 1}, Data: []float32{4, 0}}}, []float32{3, 0.5}},
	} {
		for _, e := range engines {
			t.Run(name+" on "+e.Name(), func(t *testing.T) {
				c := operatorCase{o: tc.o}
				for _, v := range tc.in {
					c.in = append(c.in, operand{v.Shape, ""})
				}
				if d := cmp.Diff(tc.want, run(t, e, alone(t, c), tc.in...)[0].Data, cmpopts.EquateNaNs()); d != "" {
					t.Error(d)
				}
			})
		}
	}
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
					for _, o := range tc.in {
						feeds = append(feeds, o.draw(r))
					}
					p := alone(t, tc)
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
