package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Batch normalisation (Ioffe and Szegedy 2015) is two operators, because a node has one result: the
// statistics, and the normalisation by them. Gradients flow through both paths. In inference mode
// the statistics are an input, the running ones.

// BatchStatistics of x (N, C, H, W) or (N, C) are (2, C): each channel's mean and biased variance. With several
// Workers they are those of all workers' x together, the same on each.
type BatchStatistics struct{ Workers int }

// BatchStatisticsGrad is the gradient by x, of x, the statistics and their gradient, which with several Workers is
// already summed over them.
type BatchStatisticsGrad struct{ Workers int }

// Normalize is γ·(x − mean)/√(variance + Epsilon) + β, of x, statistics (2, C), γ (C) and β (C).
type Normalize struct{ Epsilon float64 }

// NormalizeGradInput is the gradient by x alone, of dy, statistics and γ.
type NormalizeGradInput struct{ Epsilon float64 }

// NormalizeGradStatistics is the gradient by the statistics, of dy, x, statistics and γ: (2, C).
type NormalizeGradStatistics struct{ Epsilon float64 }

// NormalizeGradGamma is the gradient by γ, of dy, x and statistics: (C).
type NormalizeGradGamma struct{ Epsilon float64 }

// NormalizeGradBeta is the gradient by β, of dy: (C).
type NormalizeGradBeta struct{}

// RunningStatistics are (1−Momentum)·running + Momentum·statistics, both (2, C); the variance is made
// unbiased by Count/(Count−1), Count being the values a channel had, as PyTorch and TensorFlow do.
type RunningStatistics struct {
	Momentum float64
	Count    int
}

// Operands is 1: x.
func (BatchStatistics) Operands() int { return 1 }

// Operands is 3: x, statistics, their gradient.
func (BatchStatisticsGrad) Operands() int { return 3 }

// Operands is 4: x, statistics, γ, β.
func (Normalize) Operands() int { return 4 }

// Operands is 3: dy, statistics, γ.
func (NormalizeGradInput) Operands() int { return 3 }

// Operands is 4: dy, x, statistics, γ.
func (NormalizeGradStatistics) Operands() int { return 4 }

// Operands is 3: dy, x, statistics.
func (NormalizeGradGamma) Operands() int { return 3 }

// Operands is 1: dy.
func (NormalizeGradBeta) Operands() int { return 1 }

// Operands is 2: running, statistics.
func (RunningStatistics) Operands() int { return 2 }

// channels is an error where x's second dimension is not c.
func channels(x tensor.Shape, c int) error {
	if (len(x) != 2 && len(x) != 4) || x[1] != c {
		return fmt.Errorf("%v is not (N, %d) or (N, %d, H, W)", x, c, c)
	}
	return nil
}

// Shape is (2, C).
func (BatchStatistics) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if len(in[0]) < 2 {
		return nil, fmt.Errorf("%v has no channels", in[0])
	}
	return tensor.Shape{2, in[0][1]}, channels(in[0], in[0][1])
}

// Shape is x's.
func (BatchStatisticsGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), sameShape(in, 1, 2)
}

// Shape is x's.
func (Normalize) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, -1, 2, 1, 1); err != nil {
		return nil, err
	}
	return in[0].Clone(), channels(in[0], in[2][0])
}

// Shape is dy's.
func (NormalizeGradInput) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), channels(in[0], in[2][0])
}

// Shape is (2, C).
func (NormalizeGradStatistics) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[2].Clone(), sameShape(in, 0, 1)
}

// Shape is (C).
func (NormalizeGradGamma) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1]}, sameShape(in, 0, 1)
}

// Shape is (C).
func (NormalizeGradBeta) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1]}, channels(in[0], in[0][1])
}

// Shape is (2, C).
func (RunningStatistics) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), sameShape(in, 0, 1)
}

// Gradients by x. Every worker's results depend on every worker's x, by the statistics.
func (o BatchStatistics) Gradients(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	if o.Workers > 1 {
		var err error
		if dy, err = Apply(SumOverWorkers(o), dy); err != nil {
			return nil, err
		}
	}
	return gradients(by(BatchStatisticsGrad(o), in[0], out, dy))
}

// Gradients by x, the statistics, γ and β.
func (o Normalize) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(
		by(NormalizeGradInput(o), dy, in[1], in[2]),
		by(NormalizeGradStatistics(o), dy, in[0], in[1], in[2]),
		by(NormalizeGradGamma(o), dy, in[0], in[1]),
		by(NormalizeGradBeta{}, dy))
}
