package op

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Several workers compute the same graph at the same time, each on its part of a batch (single program, multiple data). An
// operator over workers is a pure function of its operand as all workers have it; what it gives is the same on each. The loss
// is that of all of them, so the gradient by a value is that of the sum of what every worker makes of it.

// SumOverWorkers is the sum of the Workers' x, which is of any shape.
type SumOverWorkers struct{ Workers int }

// Operands is 1: x.
func (SumOverWorkers) Operands() int { return 1 }

// Shape is x's.
func (SumOverWorkers) Shape(in ...tensor.Shape) (tensor.Shape, error) { return in[0].Clone(), nil }

// Gradients by x: it is in every worker's sum, so its gradient is the sum of theirs.
func (o SumOverWorkers) Gradients(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(o, dy))
}

// OverWorkers is how many workers an operator is over; 1 where it is this worker's alone.
func OverWorkers(o Operator) int {
	switch o := o.(type) {
	case SumOverWorkers:
		return max(o.Workers, 1)
	case BatchStatistics:
		return max(o.Workers, 1)
	}
	return 1
}
