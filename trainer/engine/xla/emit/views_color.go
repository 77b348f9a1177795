package emit

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"
	"github.com/gomlx/go-xla/types/shapes"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
)

// rgb are the channels of views, (rows, S, S) each.
type rgb [3]value

// each channel by a function.
func (c rgb) each(f func(value) value) rgb { return rgb{f(c[0]), f(c[1]), f(c[2])} }

// color distorts the colours, as color.h: the operations of the jitter in the order that was drawn for each view, and grey.
func (v *views) color(x value) value {
	size := v.c.Size
	var c rgb
	for i := range c {
		c[i] = reshape(part(x, 1, i, i+1), v.rows, size, size)
	}
	enabled := v.enabled()
	for step := range enabled {
		possible := enabled
		if v.c.Color.FixedOrder {
			possible = enabled[step : step+1]
		}
		c = v.step(augment.Steps+2*step, possible, c)
	}
	grey := v.luma(c)
	c = c.each(func(x value) value { return v.taken(augment.Greyed, grey, x) })
	plane := func(x value) value { return reshape(x, v.rows, 1, size, size) }
	return concatenate(1, plane(c[0]), plane(c[1]), plane(c[2]))
}

// enabled operations, in the fixed order.
func (v *views) enabled() (operations []int) {
	for i, change := range []float64{v.c.Color.Brightness, v.c.Color.Contrast, v.c.Color.Saturation, v.c.Color.Hue} {
		if change > 0 {
			operations = append(operations, augment.Brightness+i)
		}
	}
	return operations
}

// step does to each view the one of the possible operations that its column names, by the factor in the next.
func (v *views) step(column int, possible []int, before rgb) rgb {
	factor := v.each(column+1, dims(before[0])...)
	after := before
	for _, operation := range possible {
		changed := v.operation(operation, before, factor)
		is := v.is(column, float64(operation), dims(factor))
		for i := range after {
			after[i] = choose(is, changed[i], after[i])
		}
	}
	return after
}

func (v *views) operation(operation int, c rgb, factor value) rgb {
	switch operation {
	case augment.Brightness:
		return c.each(func(x value) value { return v.clip(mul(x, factor)) })
	case augment.Contrast:
		mean := v.scale(v.sum(v.luma(c), 1, 2), 1/float64(v.c.Size*v.c.Size))
		return v.away(c, factor, spread(mean, dims(factor), 0))
	case augment.Saturation:
		return v.away(c, factor, v.luma(c))
	default:
		return v.hue(c, factor)
	}
}

// away from a grey: factor · v + (1 − factor) · grey.
func (v *views) away(c rgb, factor, grey value) rgb {
	offset := mul(sub(v.full(1, factor), factor), grey)
	return c.each(func(x value) value { return v.clip(add(mul(factor, x), offset)) })
}

func (v *views) luma(c rgb) value {
	return add(add(v.scale(c[0], 0.299), v.scale(c[1], 0.587)), v.scale(c[2], 0.114))
}

// hue turns the hue of HSV, by sixths of a turn.
func (v *views) hue(c rgb, turn value) rgb {
	red, green, blue := c[0], c[1], c[2]
	high := must(stablehlo.Maximum(must(stablehlo.Maximum(red, green)), blue))
	low := must(stablehlo.Minimum(must(stablehlo.Minimum(red, green)), blue))
	chroma := sub(high, low)
	equal := func(a, b value) value { return where(a, types.CompareEQ, b, types.CompareFloat) }
	isRed, isGreen := equal(high, red), equal(high, green)
	difference := choose(isRed, sub(green, blue), choose(isGreen, sub(blue, red), sub(red, green)))
	sector := choose(isRed, v.full(0, turn), choose(isGreen, v.full(2, turn), v.full(4, turn)))
	h := add(add(sector, div(difference, must(stablehlo.Maximum(chroma, v.full(1e-30, chroma))))), turn)
	h = choose(v.less(h, v.full(0, h)), v.plus(h, 6), h)
	h = choose(v.less(h, v.full(6, h)), h, v.plus(h, -6))
	from := func(center float64) value { return must(stablehlo.Abs(v.plus(h, -center))) }
	share := func(x value) value { return add(low, mul(chroma, v.clip(x))) }
	return rgb{share(v.plus(from(3), -1)), share(v.plus(v.scale(from(2), -1), 2)), share(v.plus(v.scale(from(4), -1), 2))}
}

// noise of a shape, Gaussian: augment.Noise's, by the same numbers of the same generator.
func (v *views) noise(shape []int) value {
	n := shape[1] * shape[2] * shape[3]
	half := (n + 1) / 2
	a, b := v.threefry(half)
	unit := func(x value) value { return to(shiftRight(v, x, 8), dtypes.Float32) } // times 2²⁴
	squared := v.scale(must(stablehlo.Log(v.scale(v.plus(unit(a), 1), 1./(1<<24)))), -2)
	radius := v.scale(must(stablehlo.Sqrt(squared)), v.c.Noise.Sigma)
	angle := v.scale(unit(b), 2*math.Pi/(1<<24))
	pairs := concatenate(1, mul(radius, must(stablehlo.Cosine(angle))), mul(radius, must(stablehlo.Sine(angle))))
	return reshape(part(pairs, 1, 0, n), shape...)
}

// threefry are n pairs of random numbers a row, (rows, n) each: augment's, with the counters 0, 1, …
func (v *views) threefry(n int) (a, b value) {
	whole := func(x uint32) value { return spread(must(v.fn.ConstantFromScalar(x)), []int{v.rows, n}) }
	xor := func(a, b value) value { return must(stablehlo.Xor(a, b)) }
	keys := [3]value{}
	for i := range 2 {
		keys[i] = spread(to(v.column(augment.NoiseKey+i), dtypes.Uint32), []int{v.rows, n}, 0)
	}
	keys[2] = xor(xor(keys[0], keys[1]), whole(augment.ThreefryParity))
	a, b = add(must(v.fn.Iota(shapes.Make(dtypes.Uint32, v.rows, n), 1)), keys[0]), keys[1]
	for round := range augment.ThreefryRounds {
		a = add(a, b)
		by := augment.ThreefryRotations[round%8]
		b = xor(must(stablehlo.Or(must(stablehlo.ShiftLeft(b, whole(uint32(by)))), shiftRight(v, b, 32-by))), a)
		if round%4 == 3 {
			k := round/4 + 1
			a, b = add(a, keys[k%3]), add(add(b, keys[(k+1)%3]), whole(uint32(k)))
		}
	}
	return a, b
}

func shiftRight(v *views, x value, by int) value {
	return must(stablehlo.ShiftRightLogical(x, spread(must(v.fn.ConstantFromScalar(uint32(by))), dims(x))))
}
