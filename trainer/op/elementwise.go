package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// ReLU is max(x, 0).
type ReLU struct{}

// ReLUGrad is dy where the ReLU's result y is positive, else 0: of y and dy.
type ReLUGrad struct{}

// Softplus is log(1 + eˣ), the smooth activation that tests use in ReLU's place.
type Softplus struct{}

// SoftplusGrad is dy/(1 + e⁻ˣ), of x and dy.
type SoftplusGrad struct{}

// Add is a + b, of one shape.
type Add struct{}

// Operands is 1: x.
func (ReLU) Operands() int { return 1 }

// Operands is 2: y, dy.
func (ReLUGrad) Operands() int { return 2 }

// Operands is 1: x.
func (Softplus) Operands() int { return 1 }

// Operands is 2: x, dy.
func (SoftplusGrad) Operands() int { return 2 }

// Operands is 2: a, b.
func (Add) Operands() int { return 2 }

// Shape is x's.
func (ReLU) Shape(in ...tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }

// Shape is dy's.
func (ReLUGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), sameShape(in, 0, 1)
}

// Shape is x's.
func (Softplus) Shape(in ...tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }

// Shape is dy's.
func (SoftplusGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), sameShape(in, 0, 1)
}

// Shape is the operands'.
func (Add) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), sameShape(in, 0, 1)
}

// Gradients by x.
func (ReLU) Gradients(_ gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(ReLUGrad{}, out, dy))
}

// Gradients by x.
func (Softplus) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(SoftplusGrad{}, in[0], dy))
}

// Gradients are dy, twice.
func (Add) Gradients(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{dy, dy}, nil
}
