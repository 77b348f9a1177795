package emit

import (
	"github.com/gomlx/go-xla/stablehlo"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
)

// resize the box of each source (rows,edge,edge,3) to (rows, 3, S, S), mirrored where that was drawn: resize.h, as
// two products with the weights of all pixels, most of which are 0. Products are what accelerators are best at, and boxes of any
// size are one program.
func (v *views) resize(source value) value {
	edge, size := dims(source)[1], v.c.Size
	down, across := v.weights(augment.YOrigin, edge, false, 1./255), v.weights(augment.XOrigin, edge, true, 1)
	x := products(down, 2, reshape(v.wide(source), v.rows, edge, 3*edge), 1)
	x = products(reshape(x, v.rows, size, edge, 3), 2, across, 2) // rows, height, channels, width
	return v.clip(transpose(x, 0, 2, 1, 3))
}

// weights (rows, S, edge) of the pixels of one axis of the sources, whose parameters begin at a column; they add up to
// scale. Where they may be mirrored, the last pixel of a view is the first.
func (v *views) weights(column, edge int, mirrored bool, scale float64) value {
	size := v.c.Size
	pixel := v.along(1, v.rows, size)
	if mirrored {
		back := v.plus(v.scale(pixel, -1), float64(size-1))
		pixel = v.taken(augment.Flipped, back, pixel)
	}
	extent := v.each(column+1, v.rows, size)
	center := add(v.each(column, v.rows, size), v.scale(mul(v.plus(v.scale(pixel, 2), 1), extent), 1/float64(2*size)))
	stretch := must(stablehlo.Maximum(v.scale(extent, 1/float64(size)), v.full(1, extent)))
	shape := []int{v.rows, size, edge}
	from := v.along(2, shape...)
	distance := div(sub(v.plus(from, 0.5), spread(center, shape, 0, 1)), spread(stretch, shape, 0, 1))
	w := v.filter(must(stablehlo.Abs(distance)))
	w = choose(v.less(from, v.each(column+2, shape...)), w, v.full(0, w))
	return mul(w, spread(div(v.full(scale, center), v.sum(w, 2)), shape, 0, 1))
}

// filter of a distance ≥ 0 in pixels of the coarser of source and view: the functions cubic and triangle of resize.h.
func (v *views) filter(x value) value {
	zero := v.full(0, x)
	if v.c.Crop.Filter == augment.Bilinear {
		return must(stablehlo.Maximum(sub(v.full(1, x), x), zero))
	}
	near := v.plus(mul(v.plus(v.scale(x, 1.5), -2.5), mul(x, x)), 1)
	far := v.scale(v.plus(mul(v.plus(mul(v.plus(x, -5), x), 8), x), -4), -0.5)
	return choose(v.less(x, v.full(1, x)), near, choose(v.less(x, v.full(2, x)), far, zero))
}

// cutout covers squares with grey.
func (v *views) cutout(x value) value {
	size := v.c.Size
	within := func(column int) value {
		at, first := v.along(1, v.rows, size), v.each(column, v.rows, size)
		end := add(first, v.each(augment.CutoutSide, v.rows, size))
		return both(must(stablehlo.Not(v.less(at, first))), v.less(at, end))
	}
	covered := both(spread(within(augment.CutoutY), dims(x), 0, 2), spread(within(augment.CutoutX), dims(x), 0, 3))
	return choose(covered, v.full(augment.MidGrey, x), x)
}

// sharpest is a sigma whose neighbours' weights underflow to 0: no blur.
const sharpest = 0.01

// blur in both directions, each a product with a band of weights: around the image are zeros.
func (v *views) blur(x value) value {
	size, radius := v.c.Size, v.c.Blur.Kernel/2
	gauss := func(distance value) value {
		sigma := v.each(augment.BlurSigma, dims(distance)...)
		sigma = must(stablehlo.Maximum(sigma, v.full(sharpest, sigma)))
		scaled := div(distance, sigma)
		return exp(v.scale(mul(scaled, scaled), -0.5))
	}
	sides := v.sum(gauss(v.along(1, v.rows, radius+1)), 1)
	total := v.plus(v.scale(sides, 2), -1) // the centre was counted twice
	shape := []int{v.rows, size, size}
	distance := must(stablehlo.Abs(sub(v.along(1, shape...), v.along(2, shape...))))
	band := div(gauss(distance), spread(total, shape, 0))
	band = choose(v.less(distance, v.full(float64(radius)+0.5, distance)), band, v.full(0, band))
	x = products(products(x, 3, band, 2), 2, band, 2) // rows, channels, width, height
	return v.clip(transpose(x, 0, 1, 3, 2))
}

// sobel is the magnitude of the gradient of each channel, with the border reflected.
func (v *views) sobel(x value) value {
	size := v.c.Size
	for _, axis := range []int{2, 3} { // a view has 8 pixels a side at least
		x = concatenate(axis, part(x, axis, 1, 2), x, part(x, axis, size-2, size-1))
	}
	at := func(dy, dx int) value { return part(part(x, 2, 1+dy, 1+dy+size), 3, 1+dx, 1+dx+size) }
	smoothed := func(a, b, c value) value { return add(add(a, v.scale(b, 2)), c) }
	gx := smoothed(sub(at(-1, 1), at(-1, -1)), sub(at(0, 1), at(0, -1)), sub(at(1, 1), at(1, -1)))
	gy := smoothed(sub(at(1, -1), at(-1, -1)), sub(at(1, 0), at(-1, 0)), sub(at(1, 1), at(-1, 1)))
	magnitude := v.scale(must(stablehlo.Sqrt(add(mul(gx, gx), mul(gy, gy)))), 0.25)
	return must(stablehlo.Minimum(magnitude, v.full(1, magnitude)))
}

// rotate by quarter turns, counter-clockwise.
func (v *views) rotate(x value) value {
	turned := transpose(x, 0, 1, 3, 2)
	once, twice, thrice := must(stablehlo.Reverse(turned, 2)), must(stablehlo.Reverse(x, 2, 3)), must(stablehlo.Reverse(turned, 3))
	is := func(quarters float64) value { return v.is(augment.Quarters, quarters, dims(x)) }
	return choose(is(1), once, choose(is(2), twice, choose(is(3), thrice, x)))
}
