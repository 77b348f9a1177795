package emit

import (
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// window is how a kernel moves over space: its stride, the zeros before and after, and how far apart the values of x and
// of the kernel are taken.
type window struct{ stride, before, after, dilateX, dilateW int }

// axes of an operand or result of a convolution: of images or input channels, of channels or output channels; the other
// two are space.
type axes struct{ batch, channels int }

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
		of.batch, of.channels, space, by.channels, by.batch, space, give.batch, give.channels, space, 1, 1, precision, precision))
}

// plain are the axes of (N, C, H, W) and of (O, C, k, k); swapped reads the first axis as channels.
var (
	plain   = axes{0, 1}
	swapped = axes{1, 0}
)

func conv2D(e *emission, o op.Conv2D, in []value, _ []int) value {
	return e.convolution(in[0], in[1], window{o.Stride, o.Pad, o.Pad, 1, 1}, plain, plain, plain)
}

// conv2DGradInput is dy, spread by the stride, convolved by the kernel turned round.
func conv2DGradInput(e *emission, o op.Conv2DGradInput, in []value, _ []int) value {
	w, dy := in[0], in[1]
	k, rows := dims(w)[2], dims(dy)[2]
	before := k - 1 - o.Pad
	after := o.H - (rows-1)*o.Stride - 1 + k - 1 - before
	turned := must(stablehlo.Reverse(to(w, e.activation), space...)) // nothing between, or XLA:GPU sees no gradient in it and pads dy
	return e.convolution(dy, turned, window{1, before, after, o.Stride, 1}, plain, swapped, plain)
}

// conv2DGradWeight is x convolved by dy, images being what is summed over.
func conv2DGradWeight(e *emission, o op.Conv2DGradWeight, in []value, _ []int) value {
	x, dy := in[0], in[1]
	after := o.K - 1 + (dims(dy)[2]-1)*o.Stride + 1 - dims(x)[2] - o.Pad
	return e.convolution(x, dy, window{1, o.Pad, after, 1, o.Stride}, swapped, swapped, swapped)
}
