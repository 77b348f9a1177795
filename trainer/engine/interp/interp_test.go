package interp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

var input, must = optest.Input, optest.Apply

func array(shape []int, v ...float64) Array { return Array{shape, v} }

// evaluate is an operator's result for some operands.
func evaluate(t *testing.T, o op.Operator, in ...Array) []float64 {
	t.Helper()
	g := gorgonia.NewGraph()
	var nodes gorgonia.Nodes
	for i, a := range in {
		nodes = append(nodes, input(g, fmt.Sprint("operand ", i), a.Shape...))
	}
	x, err := New(engine.Program{Graph: g, Segments: []engine.Segment{{Feeds: nodes, Fetches: gorgonia.Nodes{must(t, o, nodes...)}}}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := x.Run64(0, in...)
	if err != nil {
		t.Fatal(err)
	}
	return out[0].V
}

func TestOperatorsOfKnownValues(t *testing.T) {
	x := array([]int{2, 2}, 1, 10, 3, 30) // channels (1, 3) and (10, 30)
	// windows begin one row and column before the image, where there is nothing
	grid := array([]int{1, 1, 3, 3}, -4, -1, 3, -2, -3, 2, 7, -5, 8)
	for name, tc := range map[string]struct {
		o    op.Operator
		in   []Array
		want []float64
	}{
		"batch statistics: mean, biased variance": {op.BatchStatistics{}, []Array{x}, []float64{2, 20, 1, 100}},
		"batch statistics of images":              {op.BatchStatistics{}, []Array{array([]int{1, 2, 1, 2}, 1, 3, 10, 30)}, []float64{2, 20, 1, 100}},
		"normalize":                               {op.Normalize{Epsilon: 3}, []Array{x, array([]int{2, 2}, 2, 20, 1, 97), array([]int{2}, 1, 2), array([]int{2}, 0, 5)}, []float64{-0.5, 3, 0.5, 7}},
		"running statistics: unbiased variance":   {op.RunningStatistics{Momentum: 0.25, Count: 3}, []Array{array([]int{2, 1}, 4, 8), array([]int{2, 1}, 8, 4)}, []float64{5, 7.5}},
		"ReLU":                                    {op.ReLU{}, []Array{array([]int{3}, -1, 0, 2)}, []float64{0, 0, 2}},
		"ReLU's gradient":                         {op.ReLUGrad{}, []Array{array([]int{3}, 0, 1, 2), array([]int{3}, 5, 6, 7)}, []float64{0, 6, 7}},
		"softplus":                                {op.Softplus{}, []Array{array([]int{2}, 0, math.Log(math.E-1))}, []float64{math.Ln2, 1}},
		"pooling":                                 {op.GlobalAveragePool{}, []Array{array([]int{1, 2, 1, 2}, 1, 3, 10, 30)}, []float64{2, 20}},
		"max pooling":                             {op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, []Array{grid}, []float64{-1, 3, 7, 8}},
		"max pooling, of NaN":                     {op.MaxPool2D{Size: 2, Stride: 2}, []Array{array([]int{1, 1, 2, 2}, 1, math.NaN(), 3, 2)}, []float64{math.NaN()}},
		"max pooling's gradient: the first of equal ones": {op.MaxPool2DGrad{Size: 2, Stride: 1}, []Array{array([]int{1, 1, 2, 3}, 5, 5, 5, 5, 5, 6), array([]int{1, 1, 1, 2}, 1, 2)}, []float64{1, 0, 0, 0, 0, 2}},
		// what google-research/simclr's ResNet-D shortcuts do: zeros are counted where the size is halved
		"average pooling, zeros counted":    {op.AveragePool2D{Size: 2, Stride: 2, After: 1, CountZeros: true}, []Array{grid}, []float64{-2.5, 1.25, 0.5, 2}},
		"average pooling of an even size":   {op.AveragePool2D{Size: 2, Stride: 2, After: 1, CountZeros: true}, []Array{array([]int{1, 1, 2, 2}, 1, 2, 3, 6)}, []float64{3}},
		"average pooling, stride 1":         {op.AveragePool2D{Size: 2, Stride: 1, After: 1}, []Array{grid}, []float64{-2.5, 0.25, 2.5, -0.75, 0.5, 5, 1, 1.5, 8}},
		"sum of streams":                    {op.SumStreams{}, []Array{array([]int{2, 4}, 1, 2, 10, 20, 3, 4, 30, 40)}, []float64{11, 22, 33, 44}},
		"repeated streams":                  {op.RepeatStreams{}, []Array{array([]int{2, 2}, 1, 2, 3, 4)}, []float64{1, 2, 1, 2, 3, 4, 3, 4}},
		"softmax over streams":              {op.StreamSoftmax{}, []Array{array([]int{1, 4}, 0, 1000, math.Log(3), 0)}, []float64{0.25, 1, 0.75, 0}},
		"mixed streams":                     {op.MixStreams{}, []Array{array([]int{2, 2, 1, 2}, 1, 2, 10, 20, 3, 4, 30, 40), array([]int{2, 2}, 1, 0.5, 0, 2)}, []float64{6, 12, 60, 80}},
		"dense":                             {op.Dense{}, []Array{array([]int{1, 2}, 1, 2), array([]int{3, 2}, 1, 0, 0, 1, 3, 4)}, []float64{1, 2, 11}},
		"bias":                              {op.AddBias{}, []Array{x, array([]int{2}, 1, 2)}, []float64{2, 12, 4, 32}},
		"cross entropy of equal logits":     {op.SoftmaxCrossEntropy{}, []Array{array([]int{2, 3}, 1, 1, 1, 7, 7, 7), array([]int{2}, 0, 2)}, []float64{math.Log(3)}},
		"cross entropy":                     {op.SoftmaxCrossEntropy{}, []Array{array([]int{1, 2}, math.Log(3), 0), array([]int{1}, 1)}, []float64{math.Log(4)}},
		"cross entropy of logits far apart": {op.SoftmaxCrossEntropy{}, []Array{array([]int{1, 2}, 0, 2000), array([]int{1}, 0)}, []float64{2000}},
		"contrastive accuracy":              {op.ContrastiveAccuracy{}, []Array{array([]int{4, 2}, 1, 0, 1, 0, 1, 0, 0, 1)}, []float64{0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, evaluate(t, tc.o, tc.in...), cmpopts.EquateApprox(0, 1e-12), cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// convolution is the sum as textbooks write it, over an image of zeros beyond the border.
func convolution(x, w Array, stride, pad, oh, ow int) []float64 {
	at := func(n, c, h, l int) float64 {
		if h < 0 || h >= x.Shape[2] || l < 0 || l >= x.Shape[3] {
			return 0
		}
		return x.V[((n*x.Shape[1]+c)*x.Shape[2]+h)*x.Shape[3]+l]
	}
	var y []float64
	k := w.Shape[2]
	for i := range x.Shape[0] * w.Shape[0] * oh * ow {
		n, o, h, l, sum := i/(w.Shape[0]*oh*ow), i/(oh*ow)%w.Shape[0], i/ow%oh, i%ow, 0.
		for j := range x.Shape[1] * k * k {
			c, a, b := j/(k*k), j/k%k, j%k
			sum += at(n, c, h*stride+a-pad, l*stride+b-pad) * w.V[o*x.Shape[1]*k*k+j]
		}
		y = append(y, sum)
	}
	return y
}

func TestConvolution(t *testing.T) {
	for name, tc := range map[string]struct{ h, w, k, stride, pad, wantH, wantW int }{
		"3x3":                      {5, 6, 3, 1, 1, 5, 6},
		"3x3, stride 2, even":      {6, 4, 3, 2, 1, 3, 2},
		"3x3, stride 2, odd":       {5, 7, 3, 2, 1, 3, 4},
		"1x1":                      {3, 4, 1, 1, 0, 3, 4},
		"1x1, stride 2":            {5, 4, 1, 2, 0, 3, 2},
		"one pixel":                {1, 1, 3, 1, 1, 1, 1},
		"one pixel left, stride 2": {2, 2, 3, 2, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(9, 10))
			x, w := Zeros(2, 3, tc.h, tc.w), Zeros(4, 3, tc.k, tc.k)
			for _, a := range []Array{x, w} {
				for i := range a.V {
					a.V[i] = r.NormFloat64()
				}
			}
			got := evaluate(t, op.Conv2D{Stride: tc.stride, Pad: tc.pad}, x, w)
			if diff := cmp.Diff(convolution(x, w, tc.stride, tc.pad, tc.wantH, tc.wantW), got, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// squares is a program in three segments: y = x·w by Dense, then w's gradient by dy, then its update.
func squares(t *testing.T) *Executable {
	t.Helper()
	g := gorgonia.NewGraph()
	w, x, dy, lr := input(g, "w", 1, 1), input(g, "x", 1, 1), input(g, "dy", 1, 1), input(g, "lr", 1)
	y := must(t, op.Dense{}, x, w)
	dw := must(t, op.DenseGradWeight{}, y, dy) // y·dy, so that what the first segment left behind is seen
	e, err := New(engine.Program{Graph: g,
		Variables: []engine.Variable{{Name: "w", Node: w, Next: must(t, op.SGDUpdate{}, w, dw, lr)}},
		Segments: []engine.Segment{
			{Name: "forward", Feeds: gorgonia.Nodes{x}, Fetches: gorgonia.Nodes{y}},
			{Name: "backward", Feeds: gorgonia.Nodes{dy}, Fetches: gorgonia.Nodes{dw}},
			{Name: "update", Feeds: gorgonia.Nodes{lr}, Updates: true},
		}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func scalar(t *testing.T, e engine.Executable, segment int, v float32) float32 {
	t.Helper()
	f := engine.Scalar(v)
	if segment < 2 {
		f.Shape = []int{1, 1}
	}
	out, err := e.Run(segment, f)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		return 0
	}
	return out[0].Data[0]
}

func TestSegments(t *testing.T) {
	e := squares(t)
	if err := e.Set("w", engine.Tensor{Shape: []int{1, 1}, Data: []float32{3}}); err != nil {
		t.Fatal(err)
	}
	// y = 2·3, dw = 6·5, w = 3 − 0.1·30; then the same with the new w
	got := []float32{scalar(t, e, 0, 2), scalar(t, e, 1, 5), scalar(t, e, 2, 0.5)}
	w, err := e.Get("w")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, w.Data[0], scalar(t, e, 0, 2), scalar(t, e, 1, 1))
	if diff := cmp.Diff([]float32{6, 30, 0, -12, -24, -24}, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	w.Data[0] = 7
	if again, _ := e.Get("w"); again.Data[0] != -12 {
		t.Error("Get is not a copy")
	}
}

// A segment that runs again, with what earlier ones left, computes everything of its own again.
func TestASegmentRunsAgain(t *testing.T) {
	e := squares(t)
	if err := e.Set("w", engine.Tensor{Shape: []int{1, 1}, Data: []float32{3}}); err != nil {
		t.Fatal(err)
	}
	got := []float32{scalar(t, e, 0, 2), scalar(t, e, 1, 5), scalar(t, e, 1, 7)}
	if diff := cmp.Diff([]float32{6, 30, 42}, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	g := gorgonia.NewGraph()
	x := input(g, "x", 2)
	tanh, err := gorgonia.Tanh(x)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		do   func(e *Executable) error
		want string
	}{
		"an operator of gorgonia's": {func(*Executable) error {
			_, err := New(engine.Program{Graph: g, Segments: []engine.Segment{{Name: "forward", Feeds: gorgonia.Nodes{x}, Fetches: gorgonia.Nodes{tanh}}}})
			return err
		}, "segment forward: interp: no meaning for tanh"},
		"too few feeds": {func(e *Executable) error { _, err := e.Run(0); return err }, "segment forward takes 1 feeds, not 0"},
		"a feed of another size": {func(e *Executable) error { _, err := e.Run(0, engine.NewTensor(3)); return err },
			"segment forward: feed x has shape [3]"},
		"a later segment first": {func(e *Executable) error { _, err := e.Run(1, engine.NewTensor(1, 1)); return err }, "input x was not fed"},
		"getting no variable":   {func(e *Executable) error { _, err := e.Get("v"); return err }, `no variable "v"`},
		"setting no variable":   {func(e *Executable) error { return e.Set("v", engine.Scalar(1)) }, `no variable "v"`},
		"setting another size":  {func(e *Executable) error { return e.Set("w", engine.NewTensor(3)) }, "variable w has shape (1, 1), not [3]"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tc.do(squares(t)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}
