package emit

import (
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// window is how a kernel moves over space: its stride, the zeros before and after, and how far apart the values of x and
// of the kernel are taken.
type window struct{ stride, before, after, dilateX, dilateW int }

// axes of an operand or result of a convolution: of images or output channels, of channels or input channels, and of space.
type axes struct {
	batch, channels int
	space           []int
}

// swapped reads images as channels and channels as images.
func (a axes) swapped() axes { return axes{a.channels, a.batch, a.space} }

var space = []int{2, 3}

// convolution of x by w in the program's precision.
func (e *emission) convolution(x, w value, move window, of, by, give axes) value {
	precision := types.DotGeneralPrecisionDefault
	if e.activation == e.exact { // or a TPU would multiply bfloat16, a GPU TF32
		precision = types.DotGeneralPrecisionHighest
	}
	pad := [2]int{move.before, move.after}
	return must(stablehlo.Convolution(to(x, e.activation), to(w, e.activation), []int{move.stride, move.stride}, [][2]int{pad, pad},
		[]int{move.dilateX, move.dilateX}, []int{move.dilateW, move.dilateW},
		of.batch, of.channels, of.space, by.channels, by.batch, by.space, give.batch, give.channels, give.space, 1, 1, precision, precision))
}

// nchw are the axes of (N, C, H, W).
var nchw = axes{0, 1, space}

// weights are the axes of a convolution's weights as the device has them.
func (e *emission) weights() axes {
	if e.options.Platform == tpu {
		return axes{3, 2, []int{0, 1}}
	}
	return nchw
}

func conv2D(e *emission, o op.Conv2D, in []value, _ []int) value {
	return e.convolution(in[0], in[1], window{o.Stride, o.Pad, o.Pad, 1, 1}, nchw, e.weights(), nchw)
}

// conv2DGradInput is dy, spread by the stride, convolved by the kernel turned round.
func conv2DGradInput(e *emission, o op.Conv2DGradInput, in []value, _ []int) value {
	w, dy, by := in[0], in[1], e.weights()
	k, rows := dims(w)[by.space[0]], dims(dy)[2]
	before := k - 1 - o.Pad
	after := o.H - (rows-1)*o.Stride - 1 + k - 1 - before
	turned := must(stablehlo.Reverse(to(w, e.activation), by.space...)) // nothing between, or XLA:GPU sees no gradient in it and pads dy
	return e.convolution(dy, turned, window{1, before, after, o.Stride, 1}, nchw, by.swapped(), nchw)
}

// conv2DGradWeight is x convolved by dy, images being what is summed over.
func conv2DGradWeight(e *emission, o op.Conv2DGradWeight, in []value, _ []int) value {
	x, dy := in[0], in[1]
	after := o.K - 1 + (dims(dy)[2]-1)*o.Stride + 1 - dims(x)[2] - o.Pad
	return e.convolution(x, dy, window{1, o.Pad, after, 1, o.Stride}, nchw.swapped(), nchw.swapped(), e.weights().swapped())
}
