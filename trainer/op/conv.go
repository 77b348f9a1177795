package op

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Conv2D is the cross-correlation of x (N, C, H, W) with w (O, C, k, k), zero-padded: (N, O, H', W')
// with H' = (H + 2·Pad − k)/Stride + 1.
type Conv2D struct{ Stride, Pad int }

// Conv2DGradInput is a Conv2D's gradient by x, of w and dy: (N, C, H, W).
type Conv2DGradInput struct{ Stride, Pad, N, C, H, W int }

// Conv2DGradWeight is a Conv2D's gradient by w, of x and dy: (O, C, K, K).
type Conv2DGradWeight struct{ Stride, Pad, O, C, K int }

// Operands is 2: x, w.
func (Conv2D) Operands() int { return 2 }

// Operands is 2: w, dy.
func (Conv2DGradInput) Operands() int { return 2 }

// Operands is 2: x, dy.
func (Conv2DGradWeight) Operands() int { return 2 }

// Shape is (N, O, H', W').
func (o Conv2D) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4, 4); err != nil {
		return nil, err
	}
	x, w := in[0], in[1]
	if x[1] != w[1] {
		return nil, fmt.Errorf("x has %d channels, w takes %d", x[1], w[1])
	}
	h, l := (x[2]+2*o.Pad-w[2])/o.Stride+1, (x[3]+2*o.Pad-w[3])/o.Stride+1
	if h < 1 || l < 1 {
		return nil, errors.New("x is smaller than w")
	}
	return tensor.Shape{x[0], w[0], h, l}, nil
}

// Shape is (N, C, H, W).
func (o Conv2DGradInput) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{o.N, o.C, o.H, o.W}, ranks(in, 4, 4)
}

// Shape is (O, C, K, K).
func (o Conv2DGradWeight) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{o.O, o.C, o.K, o.K}, ranks(in, 4, 4)
}

// Gradients by x and w.
func (o Conv2D) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	x, w := in[0].Shape(), in[1].Shape()
	return gradients(
		by(Conv2DGradInput{o.Stride, o.Pad, x[0], x[1], x[2], x[3]}, in[1], dy),
		by(Conv2DGradWeight{o.Stride, o.Pad, w[0], w[1], w[2]}, in[0], dy))
}
