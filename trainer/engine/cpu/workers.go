package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// emitWaiting adds a step that waits for other workers.
func (l *lowering) emitWaiting(name string, in, out []*value, run func() error) {
	l.emit(name, in, out, run)
	l.steps[len(l.steps)-1].waits = true
}

// sumOverWorkers lowers a sum of everybody's values.
func (l *lowering) sumOverWorkers(n *gorgonia.Node, o op.SumOverWorkers, in *value) {
	in = l.as(in, plain)
	if o.Workers <= 1 {
		l.values[n] = l.copied(in)
		return
	}
	out, x, sums := l.result(n, plain), l.x, make([]float64, in.size())
	l.emitWaiting("sum over workers", []*value{in}, []*value{out}, func() error {
		for i, v := range in.floats() {
			sums[i] = float64(v)
		}
		if err := engine.SumOverWorkers(x.p.Workers, sums); err != nil {
			return err
		}
		y := out.floats()
		for i, v := range sums {
			y[i] = float32(v)
		}
		return nil
	})
}

// statisticsOverWorkers lowers the statistics of everybody's values: each worker's own, gathered, and pooled on each.
func (l *lowering) statisticsOverWorkers(n *gorgonia.Node, in *value) {
	out, x := l.result(n, plain), l.x
	own := make([]float64, out.size())
	l.emit("batch statistics of this worker", []*value{in}, []*value{out}, func() error {
		C.channel_moments(in.layout(), in.p(), (*C.double)(x.sums.p), (*C.double)(&own[0]))
		return nil
	})
	l.emitWaiting("batch statistics of all workers", []*value{out}, nil, func() error {
		all, err := x.p.Workers.Gather(own)
		if err != nil {
			return err
		}
		return pool(all, out.floats())
	})
}

// pool makes one mean and biased variance (2, C) of those of parts with as many values each, in the order of parts. Means
// first, and then the distances from their mean, so that nothing cancels where a mean is far larger than the deviation, as
// it does between sums of squares (Chan, Golub and LeVeque 1983).
func pool(parts [][]float64, stats []float32) error {
	c, n := len(stats)/2, float64(len(parts))
	for rank, p := range parts {
		if len(p) != len(stats) {
			return fmt.Errorf("worker %d has statistics of %d channels, not %d", rank, len(p)/2, c)
		}
	}
	for k := range c {
		mean, variance := 0., 0.
		for _, p := range parts {
			mean += p[k] / n
		}
		for _, p := range parts {
			d := p[k] - mean
			variance += (p[c+k] + d*d) / n
		}
		stats[k], stats[c+k] = float32(mean), float32(variance)
	}
	return nil
}

// normGradOverWorkers lowers batch norm's derivatives where everybody's values were normalised together: this worker's sums,
// which γ's and β's gradients are parts of, everybody's, and the gradient by x.
func (l *lowering) normGradOverWorkers(b *normBackward, in, sums []*value) {
	x, c := l.x, b.gamma.size()
	all := make([]float64, 2*c)
	l.emit("batch norm backward: sums of this worker", in, sums, func() error {
		s1, s2 := b.sums(x, b.gradient(x))
		for k := range c {
			all[k], all[c+k] = float64(s1[k]), float64(s2[k])
		}
		return nil
	})
	l.emitWaiting("batch norm backward: sums of all workers", nil, nil, func() error {
		return engine.SumOverWorkers(x.p.Workers, all)
	})
	l.emitInPlace("batch norm backward", in, []*value{b.dx}, func() error {
		b.input(x, b.gradient(x), func(k int) (s1, s2 float64) { return all[k], all[c+k] })
		return nil
	})
}
