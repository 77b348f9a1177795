package emit

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// softmax of each row: shifted by the largest logit, nothing overflows.
func (e *emission) softmax(logits value) (p, logSum value) {
	top := e.max(logits, 1)
	powers := exp(sub(logits, spread(top, dims(logits), 0)))
	total := e.sum(powers, 1)
	return div(powers, spread(total, dims(logits), 0)), add(must(stablehlo.Log(total)), top)
}

// labelled is true at each row's class.
func (e *emission) labelled(labels value, shape []int) value {
	return where(spread(to(labels, dtypes.Int32), shape, 0), types.CompareEQ, e.positions(1, shape...), types.CompareSigned)
}

func softmaxCrossEntropy(e *emission, _ op.SoftmaxCrossEntropy, in []value, _ []int) value {
	x := e.wide(in[0])
	_, logSum := e.softmax(x)
	own := e.sum(choose(e.labelled(in[1], dims(x)), x, e.full(0, x)), 1)
	return reshape(e.scale(e.sum(sub(logSum, own), 0), 1/float64(dims(x)[0])), 1)
}

func softmaxCrossEntropyGrad(e *emission, _ op.SoftmaxCrossEntropyGrad, in []value, _ []int) value {
	x := e.wide(in[0])
	p, _ := e.softmax(x)
	d := sub(p, to(e.labelled(in[1], dims(x)), e.exact))
	return mul(e.scale(d, 1/float64(dims(x)[0])), each(e.wide(in[2]), dims(x)))
}
