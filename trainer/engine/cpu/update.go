package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func (l *lowering) update(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	in := make([]*value, len(nodes))
	for i, d := range nodes {
		in[i] = l.values[d]
	}
	out := l.result(n, plain)
	count := C.long(out.size())
	l.emitInPlace(fmt.Sprintf("%T", o), in, []*value{out}, func() error {
		w, g := in[0].c(), in[1].c()
		switch o := o.(type) {
		case op.LARSVelocity:
			larsVelocity(o, count, in, out)
		case op.ApplyVelocity:
			C.combine(count, 1, w, -1, g, 0, nil, out.c())
		case op.NesterovVelocity:
			C.combine(count, C.float(o.Momentum), in[2].c(), 1, g, C.float(o.WeightDecay), w, out.c())
		case op.NesterovUpdate:
			lr := float64(in[3].floats()[0])
			C.combine(count, C.float(1-lr*o.WeightDecay), w, C.float(-lr), g, C.float(-lr*o.Momentum), in[2].c(), out.c())
		case op.SGDUpdate:
			C.combine(count, 1, w, C.float(-in[2].floats()[0]), g, 0, nil, out.c())
		case op.RunningStatistics:
			runningStatistics(o, in[0].floats(), in[1].floats(), out.floats())
		}
		return nil
	})
}

// larsVelocity is v' = m·v + lr·trust·g + lr·trust·decay·w.
func larsVelocity(o op.LARSVelocity, count C.long, in []*value, out *value) {
	decay, trust := o.WeightDecay, 1.
	if o.Exclude {
		decay = 0
	} else {
		var squares [2]C.double
		C.norms(count, in[0].c(), in[1].c(), C.float(decay), &squares[0])
		if squares[0] > 0 && squares[1] > 0 {
			trust = o.TrustCoefficient * math.Sqrt(float64(squares[0])) / math.Sqrt(float64(squares[1]))
		}
	}
	rate := float64(in[3].floats()[0]) * trust
	C.combine(count, C.float(o.Momentum), in[2].c(), C.float(rate), in[1].c(), C.float(rate*decay), in[0].c(), out.c())
}

func runningStatistics(o op.RunningStatistics, running, batch, out []float32) {
	unbiased := float64(o.Count) / float64(max(o.Count-1, 1))
	for i := range out {
		v := float64(batch[i])
		if i >= len(out)/2 {
			v *= unbiased
		}
		out[i] = float32((1-o.Momentum)*float64(running[i]) + o.Momentum*v)
	}
}
