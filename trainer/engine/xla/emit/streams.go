package emit

import (
	"github.com/gomlx/go-xla/stablehlo"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// streamsOf are the two halves of x's channels.
func streamsOf(x value) (first, second value) {
	c := dims(x)[1] / 2
	return part(x, 1, 0, c), part(x, 1, c, 2*c)
}

func sumStreams(e *emission, _ op.SumStreams, in []value, _ []int) value {
	a, b := streamsOf(e.wide(in[0]))
	return add(a, b)
}

func repeatStreams(e *emission, _ op.RepeatStreams, in []value, _ []int) value {
	return concatenate(1, e.wide(in[0]), e.wide(in[0]))
}

// streamSoftmax of two values is the logistic function of their difference.
func streamSoftmax(e *emission, _ op.StreamSoftmax, in []value, _ []int) value {
	a, b := streamsOf(e.wide(in[0]))
	return concatenate(1, logistic(sub(a, b)), logistic(sub(b, a)))
}

func streamSoftmaxGrad(e *emission, _ op.StreamSoftmaxGrad, in []value, _ []int) value {
	ya, yb := streamsOf(e.wide(in[0]))
	da, db := streamsOf(e.wide(in[1]))
	d := mul(mul(ya, yb), sub(da, db)) // as the two add up to 1
	return concatenate(1, d, e.scale(d, -1))
}

func mixStreams(e *emission, _ op.MixStreams, in []value, out []int) value {
	xa, xb := streamsOf(e.wide(in[0]))
	wa, wb := streamsOf(e.wide(in[1]))
	return add(mul(xa, spread(wa, out, 0, 1)), mul(xb, spread(wb, out, 0, 1)))
}

func mixStreamsGradInput(e *emission, _ op.MixStreamsGradInput, in []value, _ []int) value {
	wa, wb := streamsOf(e.wide(in[0]))
	dy := e.wide(in[1])
	return concatenate(1, mul(dy, spread(wa, dims(dy), 0, 1)), mul(dy, spread(wb, dims(dy), 0, 1)))
}

func mixStreamsGradWeight(e *emission, _ op.MixStreamsGradWeight, in []value, _ []int) value {
	xa, xb := streamsOf(e.wide(in[0]))
	dy := e.wide(in[1])
	return concatenate(1, e.sum(mul(xa, dy), space...), e.sum(mul(xb, dy), space...))
}

func logistic(x value) value { return must(stablehlo.Logistic(x)) }
