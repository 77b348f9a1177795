package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// NTXent is the normalised temperature-scaled cross entropy of z (2N, D) (paper equation 1): the mean
// over all 2N anchors. Rows are all first views, then all second ones; the positive of row i is row
// (i + N) mod 2N.
type NTXent struct{ Temperature float64 }

// NTXentGrad is the gradient by z, of z and the loss's gradient (1): each row as an anchor, and as a
// negative and the positive of others.
type NTXentGrad struct{ Temperature float64 }

// ContrastiveAccuracy of z (2N, D) is the share, in [0, 1], of first views whose most similar second
// view is their own (google-research/simclr objective.py: logits_ab alone).
type ContrastiveAccuracy struct{}

// SoftmaxCrossEntropy is the mean over rows, of logits (N, K) and class ids (N), as float32.
type SoftmaxCrossEntropy struct{}

// SoftmaxCrossEntropyGrad is the gradient by the logits, of logits, class ids and the loss's gradient.
type SoftmaxCrossEntropyGrad struct{}

// Operands is 1: z.
func (NTXent) Operands() int { return 1 }

// Operands is 2: z, the loss's gradient.
func (NTXentGrad) Operands() int { return 2 }

// Operands is 1: z.
func (ContrastiveAccuracy) Operands() int { return 1 }

// Operands is 2: logits, class ids.
func (SoftmaxCrossEntropy) Operands() int { return 2 }

// Operands is 3: logits, class ids, the loss's gradient.
func (SoftmaxCrossEntropyGrad) Operands() int { return 3 }

func pairs(z tensor.Shape) error {
	if len(z) != 2 || z[0]%2 != 0 || z[0] < 2 {
		return fmt.Errorf("z is not (2N, D) but %v", z)
	}
	return nil
}

// Shape is (1).
func (NTXent) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{1}, pairs(in[0])
}

// Shape is z's.
func (NTXentGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), pairs(in[0])
}

// Shape is (1).
func (ContrastiveAccuracy) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{1}, pairs(in[0])
}

// Shape is (1).
func (SoftmaxCrossEntropy) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2, 1); err != nil {
		return nil, err
	}
	if in[0][0] != in[1][0] {
		return nil, fmt.Errorf("%d rows of logits, %d class ids", in[0][0], in[1][0])
	}
	return tensor.Shape{1}, nil
}

// Shape is the logits'.
func (SoftmaxCrossEntropyGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), ranks(in, 2, 1, 1)
}

// Gradients by z.
func (o NTXent) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(NTXentGrad(o), in[0], dy))
}

// Gradients by the logits; the class ids have none.
func (SoftmaxCrossEntropy) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	d, err := Apply(SoftmaxCrossEntropyGrad{}, in[0], in[1], dy)
	return gorgonia.Nodes{d, nil}, err
}
