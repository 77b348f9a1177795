package interp

import (
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func globalPool(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		if _, forward := o.(op.GlobalAveragePool); forward {
			area := in[0].Shape[2] * in[0].Shape[3]
			for i, v := range in[0].V {
				out.V[i/area] += v / float64(area)
			}
			return out
		}
		area := out.Shape[2] * out.Shape[3]
		return each(out, func(i int) float64 { return in[0].V[i/area] / float64(area) })
	}
}

// window is the square of values of x that one value of y is made of.
type window struct{ size, stride, pad int }

// values visits those of y's value i, by their place in x; what lies beyond the border is left out.
func (w window) values(x, y []int, i int, f func(at int)) {
	plane, row, column := i/(y[2]*y[3]), i/y[3]%y[2], i%y[3]
	for a := range w.size {
		h := row*w.stride + a - w.pad
		if h < 0 || h >= x[2] {
			continue
		}
		for b := range w.size {
			if l := column*w.stride + b - w.pad; l >= 0 && l < x[3] {
				f((plane*x[2]+h)*x[3] + l)
			}
		}
	}
}

// largest is where the largest of a window's values is, the first of equal ones. NaN is larger than any
// number: divergence must show.
func (w window) largest(x Array, y []int, i int) int {
	best := -1
	w.values(x.Shape, y, i, func(at int) {
		if best < 0 || x.V[at] > x.V[best] || math.IsNaN(x.V[at]) && !math.IsNaN(x.V[best]) {
			best = at
		}
	})
	return best
}

func maxPool(o op.MaxPool2D) evaluator {
	w := window{o.Size, o.Stride, o.Pad}
	return func(out Array, in []Array) Array {
		return each(out, func(i int) float64 { return in[0].V[w.largest(in[0], out.Shape, i)] })
	}
}

func maxPoolGrad(o op.MaxPool2DGrad) evaluator {
	w := window{o.Size, o.Stride, o.Pad}
	return func(out Array, in []Array) Array {
		for i, dy := range in[1].V {
			out.V[w.largest(in[0], in[1].Shape, i)] += dy
		}
		return out
	}
}

// mean visits the values of x that y's value i is the mean of, with what they are divided by.
func mean(o op.AveragePool2D, x, y []int, i int, f func(at int, divisor float64)) {
	w, divisor := window{o.Size, o.Stride, 0}, o.Size*o.Size
	if !o.CountZeros {
		divisor = 0
		w.values(x, y, i, func(int) { divisor++ })
	}
	w.values(x, y, i, func(at int) { f(at, float64(divisor)) })
}

func averagePool(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		switch o := o.(type) {
		case op.AveragePool2D:
			for i := range out.V {
				mean(o, in[0].Shape, out.Shape, i, func(at int, divisor float64) { out.V[i] += in[0].V[at] / divisor })
			}
		case op.AveragePool2DGrad:
			for i, dy := range in[0].V {
				mean(o.AveragePool2D, out.Shape, in[0].Shape, i, func(at int, divisor float64) { out.V[at] += dy / divisor })
			}
		}
		return out
	}
}
