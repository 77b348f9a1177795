package cpu

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

// averages of ResNet-D's shortcuts.
var averages = map[string]op.AveragePool2D{
	"average pool":           {Size: 2, Stride: 2, After: 1, CountZeros: true},
	"average pool, stride 1": {Size: 2, Stride: 1, After: 1},
}

func poolings() map[string]optest.Case {
	cases := map[string]optest.Case{}
	for _, c := range []int{3, 8, 16, 20, 48} {
		for _, size := range []int{1, 6, 7} {
			o := op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}
			name := fmt.Sprintf(" %d channels, %d px", c, size)
			cases["max pool"+name] = of(o, n(3, c, size, size))
			for how, a := range averages {
				cases[how+name] = of(a, n(3, c, size, size))
				out := (size+a.After-a.Size)/a.Stride + 1
				cases[how+" dx"+name] = of(op.AveragePool2DGrad{AveragePool2D: a, H: size, W: size}, n(3, c, out, out))
			}
			cases["max pool dx"+name] = of(op.MaxPool2DGrad(o), n(3, c, size, size), n(3, c, (size+1)/2, (size+1)/2))
		}
	}
	return cases
}

// behindConv is a program in which an operator's first operand has the layout that a convolution gave it.
func behindConv(t *testing.T, channels, size int, o op.Operator, others ...[]int) (engine.Program, []engine.Tensor) {
	t.Helper()
	g := gorgonia.NewGraph()
	r := rand.New(rand.NewPCG(9, 9))
	var in gorgonia.Nodes
	var feeds []engine.Tensor
	add := func(shape ...int) *gorgonia.Node {
		in = append(in, vector(g, fmt.Sprint("in", len(in)), shape...))
		feeds = append(feeds, drawn(n(shape...), r))
		return in[len(in)-1]
	}
	operands := gorgonia.Nodes{apply(t, op.Conv2D{Stride: 1, Pad: 1}, add(3, 3, size, size), add(channels, 3, 3, 3))}
	for _, shape := range others {
		operands = append(operands, add(shape...))
	}
	y := apply(t, o, operands...)
	return engine.Program{Graph: g, Segments: []engine.Segment{{Name: "s", Feeds: in, Fetches: gorgonia.Nodes{y}}}}, feeds
}

// In every layout that convolutions give.
func TestPoolingOfBlockedActivations(t *testing.T) {
	e := newEngine(t)
	for _, channels := range []int{5, 8, 16, 24, 32} {
		for name, tc := range map[string]struct {
			o      op.Operator
			others [][]int
		}{
			"max pool":    {op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, nil},
			"max pool dx": {op.MaxPool2DGrad{Size: 3, Stride: 2, Pad: 1}, [][]int{{3, channels, 4, 4}}},
			"halves":      {averages["average pool"], nil},
			"smooths":     {averages["average pool, stride 1"], nil},
			"halves dx":   {op.AveragePool2DGrad{AveragePool2D: averages["average pool"], H: 13, W: 14}, nil},
			"smooths dx":  {op.AveragePool2DGrad{AveragePool2D: averages["average pool, stride 1"], H: 7, W: 7}, nil},
		} {
			t.Run(fmt.Sprintf("%s, %d channels", name, channels), func(t *testing.T) {
				p, feeds := behindConv(t, channels, 7, tc.o, tc.others...)
				got, want := run(t, e, p, feeds...)[0], run(t, interp.Engine{}, p, feeds...)[0]
				if d := difference(got, want); !(d < 1e-5) {
					t.Errorf("differs from the interpreter by %.1e of the largest value", d)
				}
			})
		}
	}
}

// A NaN stays one, for divergence must show in the loss; of equal values the first takes the gradient.
func TestPoolingOfExtremeValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	onBothEngines(t, map[string]extreme{
		"NaN first":       {op.MaxPool2D{Size: 2, Stride: 2}, []engine.Tensor{{Shape: []int{1, 1, 2, 2}, Data: []float32{nan, 1, 2, 3}}}, []float32{nan}},
		"NaN last":        {op.MaxPool2D{Size: 2, Stride: 2}, []engine.Tensor{{Shape: []int{1, 1, 2, 2}, Data: []float32{1, 2, 3, nan}}}, []float32{nan}},
		"infinities":      {op.MaxPool2D{Size: 2, Stride: 2}, []engine.Tensor{{Shape: []int{1, 1, 2, 2}, Data: []float32{inf, inf, inf, inf}}}, []float32{inf}},
		"NaN's gradient":  {op.MaxPool2DGrad{Size: 2, Stride: 2}, []engine.Tensor{{Shape: []int{1, 1, 2, 2}, Data: []float32{1, nan, nan, 3}}, {Shape: []int{1, 1, 1, 1}, Data: []float32{5}}}, []float32{0, 5, 0, 0}},
		"equal values":    {op.MaxPool2DGrad{Size: 2, Stride: 2}, []engine.Tensor{{Shape: []int{1, 1, 2, 2}, Data: []float32{1, 3, 3, 3}}, {Shape: []int{1, 1, 1, 1}, Data: []float32{5}}}, []float32{0, 5, 0, 0}},
		"infinities' too": {op.MaxPool2DGrad{Size: 2, Stride: 2}, []engine.Tensor{{Shape: []int{1, 1, 2, 2}, Data: []float32{inf, inf, inf, inf}}, {Shape: []int{1, 1, 1, 1}, Data: []float32{5}}}, []float32{5, 0, 0, 0}},
	})
}
