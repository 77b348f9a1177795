package interp

import (
	"slices"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// overWorkers computes an operator over several workers.
func overWorkers(o op.Operator, w engine.Workers, x Array) (Array, error) {
	if _, ok := o.(op.BatchStatistics); ok {
		return statisticsOverWorkers(w, x)
	}
	sum := Array{x.Shape, slices.Clone(x.V)}
	return sum, engine.SumOverWorkers(w, sum.V)
}

// statisticsOverWorkers are a mean of everybody's values and then the mean of their squared distances from it.
func statisticsOverWorkers(w engine.Workers, x Array) (Array, error) {
	c := x.Shape[1]
	out, m := Zeros(2, c), float64(len(x.V)/c*w.Size())
	mean, variance := out.V[:c], out.V[c:]
	channels(x.Shape, func(i, k int) { mean[k] += x.V[i] / m })
	if err := engine.SumOverWorkers(w, mean); err != nil {
		return out, err
	}
	channels(x.Shape, func(i, k int) { variance[k] += (x.V[i] - mean[k]) * (x.V[i] - mean[k]) / m })
	return out, engine.SumOverWorkers(w, variance)
}
