package interp

import (
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// pair is where a value i of one stream, of which an image has so many, lies in both.
func pair(i, values int) (first, second int) {
	first = i + i/values*values
	return first, first + values
}

// streams are the operators on two streams of channels.
func streams(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		x := in[0]
		switch o.(type) {
		case op.SumStreams:
			return each(out, func(i int) float64 {
				a, b := pair(i, out.Shape[1])
				return x.V[a] + x.V[b]
			})
		case op.RepeatStreams:
			for i, v := range x.V {
				a, b := pair(i, x.Shape[1])
				out.V[a], out.V[b] = v, v
			}
		case op.StreamSoftmax:
			for i := range len(x.V) / 2 {
				a, b := pair(i, x.Shape[1]/2)
				p, _ := softmax([]float64{x.V[a], x.V[b]})
				out.V[a], out.V[b] = p[0], p[1]
			}
		case op.StreamSoftmaxGrad: // y, dy
			dy := in[1].V
			for i := range len(x.V) / 2 {
				a, b := pair(i, x.Shape[1]/2)
				out.V[a] = x.V[a] * x.V[b] * (dy[a] - dy[b]) // as the two add up to 1
				out.V[b] = -out.V[a]
			}
		}
		return out
	}
}

// mixing of streams by a weight for each channel of each image.
func mixing(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		one, x := in[1], in[0].V // of one stream's channels; of both
		if _, forward := o.(op.MixStreams); forward {
			one = out
		}
		plane := one.Shape[2] * one.Shape[3]
		values := one.Shape[1] * plane
		for i := range one.V {
			first, second := pair(i, values)
			for _, at := range []int{first, second} {
				switch o.(type) {
				case op.MixStreams:
					out.V[i] += in[1].V[at/plane] * x[at]
				case op.MixStreamsGradInput:
					out.V[at] = x[at/plane] * one.V[i]
				case op.MixStreamsGradWeight:
					out.V[at/plane] += x[at] * one.V[i]
				}
			}
		}
		return out
	}
}
