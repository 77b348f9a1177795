package op

import (
	"errors"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// MaxPool2D is the largest value of each Size×Size window of x (N, C, H, W), whose border is padded by
// Pad values that are never the largest: (N, C, H', W') with H' = (H + 2·Pad − Size)/Stride + 1.
type MaxPool2D struct{ Size, Stride, Pad int }

// MaxPool2DGrad gives each window's dy to its largest value, of equal ones the first in rows: of x and dy.
type MaxPool2DGrad struct{ Size, Stride, Pad int }

// Operands is 1: x.
func (MaxPool2D) Operands() int { return 1 }

// Operands is 2: x, dy.
func (MaxPool2DGrad) Operands() int { return 2 }

// Shape is (N, C, H', W').
func (o MaxPool2D) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4); err != nil {
		return nil, err
	}
	if o.Pad >= o.Size-o.Pad {
		return nil, errors.New("a window lies in the padding alone")
	}
	x := in[0]
	h, w := (x[2]+2*o.Pad-o.Size)/o.Stride+1, (x[3]+2*o.Pad-o.Size)/o.Stride+1
	if x[2]+2*o.Pad < o.Size || x[3]+2*o.Pad < o.Size {
		return nil, errors.New("x is smaller than a window")
	}
	return tensor.Shape{x[0], x[1], h, w}, nil
}

// Shape is x's.
func (o MaxPool2DGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4, 4); err != nil {
		return nil, err
	}
	y, err := MaxPool2D(o).Shape(in[0])
	if err == nil && !y.Eq(in[1]) {
		err = errors.New("dy has not the result's shape")
	}
	return in[0].Clone(), err
}

// Gradients by x.
func (o MaxPool2D) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(MaxPool2DGrad(o), in[0], dy))
}

// AveragePool2D is the mean of each Size×Size window of x (N, C, H, W), which After rows and columns of zeros follow:
// (N, C, H', W') with H' = (H + After − Size)/Stride + 1. The zeros count as values where CountZeros is set, else
// a window at the border is the mean of fewer values.
type AveragePool2D struct {
	Size, Stride, After int
	CountZeros          bool
}

// AveragePool2DGrad is an AveragePool2D's gradient by x, of dy: (N, C, H, W).
type AveragePool2DGrad struct {
	AveragePool2D
	H, W int
}

// Operands is 1: x.
func (AveragePool2D) Operands() int { return 1 }

// Operands is 1: dy.
func (AveragePool2DGrad) Operands() int { return 1 }

// Shape is (N, C, H', W').
func (o AveragePool2D) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4); err != nil {
		return nil, err
	}
	if o.After >= o.Size {
		return nil, errors.New("a window lies in the padding alone")
	}
	x := in[0]
	if x[2]+o.After < o.Size || x[3]+o.After < o.Size {
		return nil, errors.New("x is smaller than a window")
	}
	return tensor.Shape{x[0], x[1], (x[2]+o.After-o.Size)/o.Stride + 1, (x[3]+o.After-o.Size)/o.Stride + 1}, nil
}

// Shape is (N, C, H, W).
func (o AveragePool2DGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4); err != nil {
		return nil, err
	}
	x := tensor.Shape{in[0][0], in[0][1], o.H, o.W}
	y, err := o.AveragePool2D.Shape(x)
	if err == nil && !y.Eq(in[0]) {
		err = errors.New("dy has not the result's shape")
	}
	return x, err
}

// Gradients by x.
func (o AveragePool2D) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	return gradients(by(AveragePool2DGrad{o, s[2], s[3]}, dy))
}
