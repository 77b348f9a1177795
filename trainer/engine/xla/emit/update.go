package emit

import (
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// each gives every value of a shape the one value of v (1).
func each(v value, shape []int) value { return spread(reshape(v), shape) }

// decayed is g + decay·w.
func (e *emission) decayed(g, w value, decay float64) value { return add(g, e.scale(w, decay)) }

func larsVelocity(e *emission, o op.LARSVelocity, in []value, out []int) value {
	w, g, v, rate := e.wide(in[0]), e.wide(in[1]), e.wide(in[2]), e.wide(in[3])
	if !o.Exclude {
		g = e.decayed(g, w, o.WeightDecay)
		rate = mul(rate, reshape(e.trust(o.TrustCoefficient, w, g), 1))
	}
	return add(e.scale(v, o.Momentum), mul(each(rate, out), g))
}

// trust is coefficient·‖w‖/‖g‖, 1 where either is 0.
func (e *emission) trust(coefficient float64, w, g value) value {
	square := func(v value) value {
		all := make([]int, len(dims(v)))
		for i := range all {
			all[i] = i
		}
		return e.sum(mul(v, v), all...)
	}
	ww, gg := square(w), square(g)
	zero, one := e.scalar(0, e.exact), e.scalar(1, e.exact)
	some := must(stablehlo.And(where(ww, types.CompareGT, zero, types.CompareFloat), where(gg, types.CompareGT, zero, types.CompareFloat)))
	ratio := e.scale(div(must(stablehlo.Sqrt(ww)), must(stablehlo.Sqrt(gg))), coefficient)
	return choose(some, ratio, one)
}

func applyVelocity(e *emission, _ op.ApplyVelocity, in []value, _ []int) value {
	return sub(e.wide(in[0]), e.wide(in[1]))
}

func nesterovVelocity(e *emission, o op.NesterovVelocity, in []value, _ []int) value {
	w, g, v := e.wide(in[0]), e.wide(in[1]), e.wide(in[2])
	return add(e.scale(v, o.Momentum), e.decayed(g, w, o.WeightDecay))
}

func nesterovUpdate(e *emission, o op.NesterovUpdate, in []value, out []int) value {
	w, g, v := e.wide(in[0]), e.wide(in[1]), e.wide(in[2])
	return sub(w, mul(each(e.wide(in[3]), out), add(e.decayed(g, w, o.WeightDecay), e.scale(v, o.Momentum))))
}

func sgdUpdate(e *emission, _ op.SGDUpdate, in []value, out []int) value {
	return sub(e.wide(in[0]), mul(each(e.wide(in[2]), out), e.wide(in[1])))
}
