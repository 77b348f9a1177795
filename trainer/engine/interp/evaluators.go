package interp

import (
	"fmt"
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// evaluator computes an operator's result into out, which is zero and has the result's shape.
type evaluator func(out Array, in []Array) Array

// evaluatorOf is an operator's meaning in float64.
func evaluatorOf(o op.Operator) (evaluator, error) {
	switch o := o.(type) {
	case op.Conv2D, op.Conv2DGradInput, op.Conv2DGradWeight:
		return conv(o), nil
	case op.BatchStatistics, op.BatchStatisticsGrad, op.Normalize, op.NormalizeGradInput,
		op.NormalizeGradStatistics, op.NormalizeGradGamma, op.NormalizeGradBeta, op.RunningStatistics:
		return batchNorm(o), nil
	case op.Dense, op.DenseGradInput, op.DenseGradWeight, op.AddBias, op.BiasGrad:
		return dense(o), nil
	case op.GlobalAveragePool, op.GlobalAveragePoolGrad:
		return globalPool(o), nil
	case op.MaxPool2D:
		return maxPool(o), nil
	case op.MaxPool2DGrad:
		return maxPoolGrad(o), nil
	case op.AveragePool2D, op.AveragePool2DGrad:
		return averagePool(o), nil
	case op.SumStreams, op.RepeatStreams, op.StreamSoftmax, op.StreamSoftmaxGrad:
		return streams(o), nil
	case op.MixStreams, op.MixStreamsGradInput, op.MixStreamsGradWeight:
		return mixing(o), nil
	case op.NTXent, op.NTXentGrad, op.ContrastiveAccuracy, op.SoftmaxCrossEntropy, op.SoftmaxCrossEntropyGrad:
		return loss(o), nil
	case op.LARSVelocity, op.ApplyVelocity, op.NesterovVelocity, op.NesterovUpdate, op.SGDUpdate:
		return update(o), nil
	case op.ReLU:
		return func(out Array, in []Array) Array {
			return each(out, func(i int) float64 { return max(in[0].V[i], 0) })
		}, nil
	case op.ReLUGrad:
		return func(out Array, in []Array) Array {
			return each(out, func(i int) float64 {
				if in[0].V[i] > 0 {
					return in[1].V[i]
				}
				return 0
			})
		}, nil
	case op.Softplus:
		return func(out Array, in []Array) Array {
			return each(out, func(i int) float64 { return math.Log1p(math.Exp(in[0].V[i])) })
		}, nil
	case op.SoftplusGrad:
		return func(out Array, in []Array) Array {
			return each(out, func(i int) float64 { return in[1].V[i] / (1 + math.Exp(-in[0].V[i])) })
		}, nil
	case op.SumOverWorkers: // of one
		return func(_ Array, in []Array) Array { return in[0] }, nil
	case op.Add:
		return func(_ Array, in []Array) Array { return add(in[0], in[1]) }, nil
	}
	return nil, fmt.Errorf("interp: no meaning for %T", o)
}

func each(out Array, f func(i int) float64) Array {
	for i := range out.V {
		out.V[i] = f(i)
	}
	return out
}

func add(a, b Array) Array {
	return each(Zeros(a.Shape...), func(i int) float64 { return a.V[i] + b.V[i] })
}
