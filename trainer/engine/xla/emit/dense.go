package emit

import (
	"cmp"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func dense(e *emission, _ op.Dense, in []value, _ []int) value {
	return product(e.wide(in[0]), 1, e.wide(in[1]), 1)
}

func denseGradInput(e *emission, _ op.DenseGradInput, in []value, _ []int) value {
	return product(e.wide(in[1]), 1, e.wide(in[0]), 0)
}

func denseGradWeight(e *emission, _ op.DenseGradWeight, in []value, _ []int) value {
	return product(e.wide(in[1]), 0, e.wide(in[0]), 0)
}

func addBias(e *emission, _ op.AddBias, in []value, out []int) value {
	return add(e.wide(in[0]), spread(e.wide(in[1]), out, 1))
}

func biasGrad(e *emission, _ op.BiasGrad, in []value, _ []int) value { return e.sum(e.wide(in[0]), 0) }

func relu(e *emission, _ op.ReLU, in []value, _ []int) value {
	y := must(stablehlo.Maximum(in[0], e.full(0, in[0])))
	e.normalized[y] = e.normalized[in[0]]
	if in[0].Shape().DType != dtypes.BFloat16 {
		e.before[y] = in[0]
	}
	return y
}

// reluGrad is dy where y is positive: where ReLU's operand is, if it is not rounded, which compilers compute again from what batch norm's
// gradient reads anyway; of y they would keep where it is positive beside it, a quarter more. Batch norm's gradient sums it up, and then
// computes with it: of what batch norm gave itself, the same is written twice, once with zeros and once with −0, or compilers would find
// that the two are one, keep dy in between, and read it twice.
func reluGrad(e *emission, _ op.ReLUGrad, in []value, _ []int) value {
	y, dy := in[0], in[1]
	x := cmp.Or(e.before[y], y)
	masked := func(zero float64) value {
		return choose(where(x, types.CompareGT, e.full(zero, x), types.CompareFloat), dy, e.full(zero, dy))
	}
	v := masked(0)
	if e.normalized[y] {
		e.again[v] = masked(math.Copysign(0, -1))
	}
	return v
}

// remade is a value that is written twice, the second time.
func (e *emission) remade(v value) value {
	if w := e.again[v]; w != nil {
		return w
	}
	return v
}

// softplus is max(x, 0) + log(1 + e^−|x|), which does not overflow.
func softplus(e *emission, _ op.Softplus, in []value, _ []int) value {
	x := e.wide(in[0])
	small := exp(e.scale(must(stablehlo.Abs(x)), -1))
	return add(must(stablehlo.Maximum(x, e.full(0, x))), must(stablehlo.LogPlusOne(small)))
}

func softplusGrad(e *emission, _ op.SoftplusGrad, in []value, _ []int) value {
	return mul(logistic(e.wide(in[0])), e.wide(in[1]))
}

// sum of two values, of the more exact of their types.
func sum(e *emission, _ op.Add, in []value, _ []int) value { return e.plus(in[0], in[1]) }

func (e *emission) plus(a, b value) value {
	if a.Shape().DType != b.Shape().DType {
		a, b = e.wide(a), e.wide(b)
	}
	return add(a, b)
}

// sumOverWorkers is of one worker: several are no one program, or one whose devices see all images.
func sumOverWorkers(_ *emission, _ op.SumOverWorkers, in []value, _ []int) value { return in[0] }
