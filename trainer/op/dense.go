package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Dense is x·wᵀ, of x (N, I) and w (O, I): (N, O).
type Dense struct{}

// DenseGradInput is dy·w, of w (O, I) and dy (N, O): (N, I).
type DenseGradInput struct{}

// DenseGradWeight is dyᵀ·x, of x (N, I) and dy (N, O): (O, I).
type DenseGradWeight struct{}

// AddBias is x + b in every row, of x (N, O) and b (O).
type AddBias struct{}

// BiasGrad is the sum of the rows of dy (N, O): (O).
type BiasGrad struct{}

// GlobalAveragePool is the mean over height and width of x (N, C, H, W): (N, C).
type GlobalAveragePool struct{}

// GlobalAveragePoolGrad spreads dy (N, C) over (N, C, H, W), divided by H·W.
type GlobalAveragePoolGrad struct{ H, W int }

// Operands is 2: x, w.
func (Dense) Operands() int { return 2 }

// Operands is 2: w, dy.
func (DenseGradInput) Operands() int { return 2 }

// Operands is 2: x, dy.
func (DenseGradWeight) Operands() int { return 2 }

// Operands is 2: x, b.
func (AddBias) Operands() int { return 2 }

// Operands is 1: dy.
func (BiasGrad) Operands() int { return 1 }

// Operands is 1: x.
func (GlobalAveragePool) Operands() int { return 1 }

// Operands is 1: dy.
func (GlobalAveragePoolGrad) Operands() int { return 1 }

// Shape is (N, O).
func (Dense) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2, 2); err != nil {
		return nil, err
	}
	if in[0][1] != in[1][1] {
		return nil, fmt.Errorf("x has %d features, w takes %d", in[0][1], in[1][1])
	}
	return tensor.Shape{in[0][0], in[1][0]}, nil
}

// Shape is (N, I).
func (DenseGradInput) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2, 2); err != nil {
		return nil, err
	}
	return tensor.Shape{in[1][0], in[0][1]}, nil
}

// Shape is (O, I).
func (DenseGradWeight) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2, 2); err != nil {
		return nil, err
	}
	return tensor.Shape{in[1][1], in[0][1]}, nil
}

// Shape is x's.
func (AddBias) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2, 1); err != nil {
		return nil, err
	}
	return in[0].Clone(), channels(in[0], in[1][0])
}

// Shape is (O).
func (BiasGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0][1]}, nil
}

// Shape is (N, C).
func (GlobalAveragePool) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0][0], in[0][1]}, nil
}

// Shape is (N, C, H, W).
func (o GlobalAveragePoolGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0][0], in[0][1], o.H, o.W}, nil
}

// Gradients by x and w.
func (Dense) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(DenseGradInput{}, in[1], dy), by(DenseGradWeight{}, in[0], dy))
}

// Gradients by x and b.
func (AddBias) Gradients(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	db, err := Apply(BiasGrad{}, dy)
	return gorgonia.Nodes{dy, db}, err
}

// Gradients by x.
func (GlobalAveragePool) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	s := in[0].Shape()
	return gradients(by(GlobalAveragePoolGrad{s[2], s[3]}, dy))
}
