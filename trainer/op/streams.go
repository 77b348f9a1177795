package op

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Selective kernels (Li et al. 2019, arXiv 1903.06586) mix two streams of C channels, which lie one after the other
// in 2C channels: the first stream's come first.

// SumStreams is the sum of the streams of x (N, 2C): (N, C).
type SumStreams struct{}

// RepeatStreams is x (N, C) as both streams: (N, 2C). It is SumStreams' gradient.
type RepeatStreams struct{}

// StreamSoftmax is the softmax over the two streams of each channel of x (N, 2C): (N, 2C).
type StreamSoftmax struct{}

// StreamSoftmaxGrad is the gradient by x, of the StreamSoftmax's result y and dy: (N, 2C).
type StreamSoftmaxGrad struct{}

// MixStreams is the sum of the streams of x (N, 2C, H, W), each channel weighted by its value of a (N, 2C):
// (N, C, H, W).
type MixStreams struct{}

// MixStreamsGradInput is a MixStreams' gradient by x, of a and dy: (N, 2C, H, W).
type MixStreamsGradInput struct{}

// MixStreamsGradWeight is a MixStreams' gradient by a, of x and dy: (N, 2C).
type MixStreamsGradWeight struct{}

// Operands is 1: x.
func (SumStreams) Operands() int { return 1 }

// Operands is 1: x.
func (RepeatStreams) Operands() int { return 1 }

// Operands is 1: x.
func (StreamSoftmax) Operands() int { return 1 }

// Operands is 2: y, dy.
func (StreamSoftmaxGrad) Operands() int { return 2 }

// Operands is 2: x, a.
func (MixStreams) Operands() int { return 2 }

// Operands is 2: a, dy.
func (MixStreamsGradInput) Operands() int { return 2 }

// Operands is 2: x, dy.
func (MixStreamsGradWeight) Operands() int { return 2 }

// stream is how many channels each of the two streams of a shape has.
func stream(s tensor.Shape) (int, error) {
	if s[1]%2 != 0 {
		return 0, fmt.Errorf("the %d channels of %v are not two streams", s[1], s)
	}
	return s[1] / 2, nil
}

// Shape is (N, C).
func (SumStreams) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2); err != nil {
		return nil, err
	}
	c, err := stream(in[0])
	return tensor.Shape{in[0][0], c}, err
}

// Shape is (N, 2C).
func (RepeatStreams) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0][0], 2 * in[0][1]}, nil
}

// Shape is x's.
func (StreamSoftmax) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2); err != nil {
		return nil, err
	}
	_, err := stream(in[0])
	return in[0].Clone(), err
}

// Shape is dy's.
func (StreamSoftmaxGrad) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	return in[0].Clone(), sameShape(in, 0, 1)
}

// Shape is (N, C, H, W).
func (MixStreams) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4, 2); err != nil {
		return nil, err
	}
	x, a := in[0], in[1]
	c, err := stream(x)
	if err == nil && (a[0] != x[0] || a[1] != x[1]) {
		err = fmt.Errorf("a is %v, not a value for each channel of x", a)
	}
	return tensor.Shape{x[0], c, x[2], x[3]}, err
}

// Shape is (N, 2C, H, W).
func (MixStreamsGradInput) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 2, 4); err != nil {
		return nil, err
	}
	a, dy := in[0], in[1]
	return tensor.Shape{dy[0], a[1], dy[2], dy[3]}, channels(a, 2*dy[1])
}

// Shape is (N, 2C).
func (MixStreamsGradWeight) Shape(in ...tensor.Shape) (tensor.Shape, error) {
	if err := ranks(in, 4, 4); err != nil {
		return nil, err
	}
	return tensor.Shape{in[0][0], in[0][1]}, channels(in[0], 2*in[1][1])
}

// Gradients by x.
func (SumStreams) Gradients(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(RepeatStreams{}, dy))
}

// Gradients by x.
func (RepeatStreams) Gradients(_ gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(SumStreams{}, dy))
}

// Gradients by x.
func (StreamSoftmax) Gradients(_ gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(StreamSoftmaxGrad{}, out, dy))
}

// Gradients by x and a.
func (MixStreams) Gradients(in gorgonia.Nodes, _, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	return gradients(by(MixStreamsGradInput{}, in[1], dy), by(MixStreamsGradWeight{}, in[0], dy))
}
