package op_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func shapes(operands []operand) []tensor.Shape {
	var ss []tensor.Shape
	for _, o := range operands {
		ss = append(ss, o.shape)
	}
	return ss
}

func TestShapes(t *testing.T) {
	for name, tc := range map[string]struct {
		o    op.Operator
		in   []operand
		want tensor.Shape
	}{
		"padded convolution keeps the size":   {op.Conv2D{Stride: 1, Pad: 1}, []operand{of(2, 3, 32, 32), of(16, 3, 3, 3)}, tensor.Shape{2, 16, 32, 32}},
		"stride 2 halves an even size":        {op.Conv2D{Stride: 2, Pad: 1}, []operand{of(2, 3, 32, 32), of(16, 3, 3, 3)}, tensor.Shape{2, 16, 16, 16}},
		"stride 2 rounds an odd size up":      {op.Conv2D{Stride: 2, Pad: 1}, []operand{of(2, 3, 7, 5), of(16, 3, 3, 3)}, tensor.Shape{2, 16, 4, 3}},
		"a shortcut's size is the branch's":   {op.Conv2D{Stride: 2}, []operand{of(2, 3, 7, 5), of(16, 3, 1, 1)}, tensor.Shape{2, 16, 4, 3}},
		"statistics":                          {op.BatchStatistics{}, []operand{of(2, 3, 4, 4)}, tensor.Shape{2, 3}},
		"pooling":                             {op.GlobalAveragePool{}, []operand{of(2, 3, 4, 4)}, tensor.Shape{2, 3}},
		"pooling's gradient":                  {op.GlobalAveragePoolGrad{H: 4, W: 5}, []operand{of(2, 3)}, tensor.Shape{2, 3, 4, 5}},
		"max pooling halves an even size":     {op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, []operand{of(2, 3, 112, 112)}, tensor.Shape{2, 3, 56, 56}},
		"max pooling rounds an odd size up":   {op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, []operand{of(2, 3, 7, 1)}, tensor.Shape{2, 3, 4, 1}},
		"max pooling's gradient":              {op.MaxPool2DGrad{Size: 3, Stride: 2, Pad: 1}, []operand{of(2, 3, 7, 5), of(2, 3, 4, 3)}, tensor.Shape{2, 3, 7, 5}},
		"dense":                               {op.Dense{}, []operand{of(4, 3), of(2, 3)}, tensor.Shape{4, 2}},
		"dense's gradient by the weight":      {op.DenseGradWeight{}, []operand{of(4, 3), of(4, 2)}, tensor.Shape{2, 3}},
		"dense's gradient by the input":       {op.DenseGradInput{}, []operand{of(2, 3), of(4, 2)}, tensor.Shape{4, 3}},
		"NT-Xent":                             {op.NTXent{Temperature: 1}, []operand{of(6, 4)}, tensor.Shape{1}},
		"LARS, of a convolution's weight":     {op.LARSVelocity{}, []operand{of(4, 3, 1, 1), of(4, 3, 1, 1), of(4, 3, 1, 1), of(1)}, tensor.Shape{4, 3, 1, 1}},
		"Nesterov's update, of a vector":      {op.NesterovUpdate{}, []operand{of(4), of(4), of(4), of(1)}, tensor.Shape{4}},
		"running statistics":                  {op.RunningStatistics{}, []operand{of(2, 3), of(2, 3)}, tensor.Shape{2, 3}},
		"gradient by a convolution's input":   {op.Conv2DGradInput{Stride: 2, Pad: 1, N: 2, C: 3, H: 7, W: 5}, []operand{of(16, 3, 3, 3), of(2, 16, 4, 3)}, tensor.Shape{2, 3, 7, 5}},
		"gradient by a convolution's weights": {op.Conv2DGradWeight{Stride: 2, Pad: 1, O: 16, C: 3, K: 3}, []operand{of(2, 3, 7, 5), of(2, 16, 4, 3)}, tensor.Shape{16, 3, 3, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.o.Shape(shapes(tc.in)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("shape (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOperandsThatDoNotFit(t *testing.T) {
	for name, tc := range map[string]struct {
		o    op.Operator
		in   []operand
		want string
	}{
		"too few operands":          {op.Dense{}, []operand{of(4, 3)}, "takes 2 operands, not 1"},
		"other channels":            {op.Conv2D{Stride: 1}, []operand{of(2, 3, 4, 4), of(4, 2, 3, 3)}, "x has 3 channels, w takes 2"},
		"an image below the kernel": {op.Conv2D{Stride: 1}, []operand{of(2, 3, 2, 2), of(4, 3, 3, 3)}, "x is smaller than w"},
		"a flat convolution":        {op.Conv2D{Stride: 1}, []operand{of(2, 3), of(4, 3, 3, 3)}, "operand 0 has rank 2, not 4"},
		"a small image":             {op.MaxPool2D{Size: 3, Stride: 2}, []operand{of(2, 3, 2, 4)}, "x is smaller than a window"},
		"windows of padding":        {op.MaxPool2D{Size: 3, Stride: 2, Pad: 2}, []operand{of(2, 3, 8, 8)}, "a window lies in the padding alone"},
		"another pooling's dy":      {op.MaxPool2DGrad{Size: 3, Stride: 2, Pad: 1}, []operand{of(2, 3, 8, 8), of(2, 3, 8, 8)}, "dy has not the result's shape"},
		"averages of padding":       {op.AveragePool2D{Size: 2, Stride: 2, After: 2}, []operand{of(2, 3, 8, 8)}, "a window lies in the padding alone"},
		"a smaller image":           {op.AveragePool2D{Size: 3, Stride: 2}, []operand{of(2, 3, 2, 4)}, "x is smaller than a window"},
		"another average's dy":      {op.AveragePool2DGrad{AveragePool2D: op.AveragePool2D{Size: 2, Stride: 2}, H: 8, W: 8}, []operand{of(2, 3, 8, 8)}, "dy has not the result's shape"},
		"an odd number of channels": {op.StreamSoftmax{}, []operand{of(4, 3)}, "the 3 channels of (4, 3) are not two streams"},
		"weights of one stream":     {op.MixStreams{}, []operand{of(2, 6, 4, 4), of(2, 3)}, "a is (2, 3), not a value for each channel of x"},
		"another stream's dy":       {op.MixStreamsGradWeight{}, []operand{of(2, 6, 4, 4), of(2, 6, 4, 4)}, "is not (N, 12)"},
		"other features":            {op.Dense{}, []operand{of(4, 3), of(2, 5)}, "x has 3 features, w takes 5"},
		"other biases":              {op.AddBias{}, []operand{of(4, 3), of(2)}, "is not (N, 2)"},
		"another γ":                 {op.Normalize{}, []operand{of(4, 3), of(2, 3), of(2), of(2)}, "is not (N, 2)"},
		"branches that differ":      {op.Add{}, []operand{of(4, 3), of(4, 2)}, "operands 0 and 1 differ in shape"},
		"an odd number of views":    {op.NTXent{Temperature: 1}, []operand{of(5, 3)}, "z is not (2N, D)"},
		"too few class ids":         {op.SoftmaxCrossEntropy{}, []operand{of(5, 3), of(4)}, "5 rows of logits, 4 class ids"},
		"another gradient":          {op.SGDUpdate{}, []operand{of(5), of(4), of(1)}, "operands 0 and 1 differ in shape"},
		"another velocity":          {op.LARSVelocity{}, []operand{of(5), of(5), of(4), of(1)}, "operands 0 and 2 differ in shape"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraph(tc.in...)
			_, err := op.Apply(tc.o, g.in...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
}

// gorgonia shares nodes that it takes for the same function of the same operands.
func TestNodesAreSharedOnlyWhereEqual(t *testing.T) {
	g := newGraph(of(2, 3, 4, 4), of(4, 3, 1, 1), of(4, 3, 1, 1))
	first := must(t, op.Conv2D{Stride: 1}, g.in[0], g.in[1])
	for name, tc := range map[string]struct {
		other *gorgonia.Node
		want  bool
	}{
		"the same":         {must(t, op.Conv2D{Stride: 1}, g.in[0], g.in[1]), true},
		"other attributes": {must(t, op.Conv2D{Stride: 2}, g.in[0], g.in[1]), false},
		"other operands":   {must(t, op.Conv2D{Stride: 1}, g.in[0], g.in[2]), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := first == tc.other; got != tc.want {
				t.Errorf("shared: %v, want %v", got, tc.want)
			}
		})
	}
	if got, want := first.Op().String(), "Conv2D{Stride:1 Pad:0}"; got != want {
		t.Errorf("the operator prints as %q, want %q", got, want)
	}
}

func TestUpdatesHaveNoDerivative(t *testing.T) {
	g := newGraph(of(3), of(3), of(1))
	y := must(t, op.SGDUpdate{}, g.in...)
	if _, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, gorgonia.Nodes{input(g.g, "dy", 3)}, g.in[:1]); err == nil {
		t.Error("an update was differentiated")
	}
}

func TestOf(t *testing.T) {
	g := newGraph(of(3), of(3))
	sum, err := gorgonia.Add(g.in[0], g.in[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		n         *gorgonia.Node
		want      op.Operator
		wantIsSum bool
	}{
		"an input":       {n: g.in[0]},
		"ours":           {n: must(t, op.Add{}, g.in...), want: op.Add{}},
		"gorgonia's sum": {n: sum, wantIsSum: true},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := op.Of(tc.n)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("operator (-want +got):\n%s", diff)
			}
			if got := op.IsSum(tc.n); got != tc.wantIsSum {
				t.Errorf("a sum: %v, want %v", got, tc.wantIsSum)
			}
		})
	}
}
