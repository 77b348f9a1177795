package interp

import (
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func update(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		w, g := in[0].V, in[1].V
		switch o := o.(type) {
		case op.LARSVelocity:
			return larsVelocity(o, out, w, g, in[2].V, in[3].V[0])
		case op.ApplyVelocity:
			return each(out, func(i int) float64 { return w[i] - g[i] })
		case op.NesterovVelocity:
			v := in[2].V
			return each(out, func(i int) float64 { return o.Momentum*v[i] + g[i] + o.WeightDecay*w[i] })
		case op.NesterovUpdate:
			v, lr := in[2].V, in[3].V[0]
			return each(out, func(i int) float64 { return w[i] - lr*(g[i]+o.WeightDecay*w[i]+o.Momentum*v[i]) })
		default: // op.SGDUpdate
			lr := in[2].V[0]
			return each(out, func(i int) float64 { return w[i] - lr*g[i] })
		}
	}
}

func larsVelocity(o op.LARSVelocity, out Array, w, g, v []float64, lr float64) Array {
	decay, trust := o.WeightDecay, 1.
	if o.Exclude {
		decay = 0
	} else {
		ww, gg := 0., 0.
		for i := range w {
			d := g[i] + decay*w[i]
			ww, gg = ww+w[i]*w[i], gg+d*d
		}
		if ww > 0 && gg > 0 {
			trust = o.TrustCoefficient * math.Sqrt(ww) / math.Sqrt(gg)
		}
	}
	return each(out, func(i int) float64 { return o.Momentum*v[i] + lr*trust*(g[i]+decay*w[i]) })
}
