package emit

import (
	"math"

	"github.com/gomlx/go-xla/stablehlo"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func globalAveragePool(e *emission, _ op.GlobalAveragePool, in []value, _ []int) value {
	d := dims(in[0])
	return e.scale(e.sum(e.wide(in[0]), space...), 1/float64(d[2]*d[3]))
}

func globalAveragePoolGrad(e *emission, o op.GlobalAveragePoolGrad, in []value, out []int) value {
	return spread(e.scale(e.wide(in[0]), 1/float64(o.H*o.W)), out, 0, 1)
}

// inSpace is a value of each axis, that of the axes of space given.
func inSpace(images, both int) []int { return []int{images, images, both, both} }

func padded(before, after int) [][2]int {
	return [][2]int{{0, 0}, {0, 0}, {before, after}, {before, after}}
}

func maxPool(e *emission, o op.MaxPool2D, in []value, _ []int) value {
	t := in[0].Shape().DType
	return must(stablehlo.ReduceWindow(in[0], e.scalar(lowest, t), e.fold("max", t),
		inSpace(1, o.Size), inSpace(1, o.Stride), nil, nil, padded(o.Pad, o.Pad)))
}

// maxPoolGrad pads x itself, and adds to −0, addition's neutral element: so XLA:GPU makes what is padded once more instead of
// keeping x from the forward pass, and keeps no zeros since then that ReLU could use, too. On a TPU what is padded would be made and
// read in full.
func maxPoolGrad(e *emission, o op.MaxPool2DGrad, in []value, _ []int) value {
	x, dy := in[0], to(in[1], in[0].Shape().DType)
	t := x.Shape().DType
	if e.options.Platform == tpu {
		return must(stablehlo.SelectAndScatter(x, dy, e.scalar(0, t), e.fold("first of the largest", t), e.fold("sum", t),
			inSpace(1, o.Size), inSpace(1, o.Stride), padded(o.Pad, o.Pad)))
	}
	edge := inSpace(0, o.Pad)
	around := must(stablehlo.Pad(x, e.scalar(lowest, t), edge, edge, inSpace(0, 0)))
	dx := must(stablehlo.SelectAndScatter(around, dy, e.scalar(math.Copysign(0, -1), t), e.fold("first of the largest", t), e.fold("sum", t),
		inSpace(1, o.Size), inSpace(1, o.Stride), nil))
	for _, axis := range space {
		dx = part(dx, axis, o.Pad, o.Pad+dims(x)[axis])
	}
	return dx
}

// windows sums each square of x.
func (e *emission) windows(x value, size, stride, after int) value {
	t := x.Shape().DType
	return must(stablehlo.ReduceWindow(x, e.scalar(0, t), e.fold("sum", t), inSpace(1, size), inSpace(1, stride), nil, nil, padded(0, after)))
}

// divided by how many values each mean is of: at the border fewer where zeros do not count.
func (e *emission) divided(sums value, o op.AveragePool2D, height, width int) value {
	if o.CountZeros {
		return e.scale(sums, 1/float64(o.Size*o.Size))
	}
	ones := spread(e.scalar(1, e.exact), []int{1, 1, height, width})
	counts := e.windows(ones, o.Size, o.Stride, o.After)
	return div(sums, spread(reshape(counts, dims(counts)[2:]...), dims(sums), space...))
}

func averagePool(e *emission, o op.AveragePool2D, in []value, _ []int) value {
	x := e.wide(in[0])
	return e.divided(e.windows(x, o.Size, o.Stride, o.After), o, dims(x)[2], dims(x)[3])
}

// averagePoolGrad sums for each pixel the windows that it is in: dy spread by the stride, with zeros around.
func averagePoolGrad(e *emission, o op.AveragePool2DGrad, in []value, _ []int) value {
	dy := e.divided(e.wide(in[0]), o.AveragePool2D, o.H, o.W)
	before := o.Size - 1
	after := func(size, windows int) int { return size - 1 - (windows-1)*o.Stride }
	d := dims(dy)
	spreadOut := must(stablehlo.Pad(dy, e.scalar(0, e.exact), []int{0, 0, before, before},
		[]int{0, 0, after(o.H, d[2]), after(o.W, d[3])}, inSpace(0, o.Stride-1)))
	return e.windows(spreadOut, o.Size, 1, 0)
}
