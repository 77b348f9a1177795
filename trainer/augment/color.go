package augment

import (
	"math"
	"math/rand/v2"
)

// Weights of grey (ITU-R BT.601, as in Pillow and torchvision).
const greyR, greyG, greyB = 0.299, 0.587, 0.114

// distort jitters with JitterProbability (the four operations in random order) and turns grey with
// GrayscaleProbability, independently. The operations are torchvision's adjust_*; the paper's code differs
// from them in contrast (mean of each channel) and saturation (in HSV).
func (c Color) distort(r, g, b []float32, rng *rand.Rand) {
	if rng.Float64() < c.JitterProbability {
		c.jitter(r, g, b, rng)
	}
	if rng.Float64() < c.GrayscaleProbability {
		grey(r, g, b)
	}
}

func (c Color) jitter(r, g, b []float32, rng *rand.Rand) {
	s := c.Strength
	low, high := max(1-0.8*s, 0), 1+0.8*s
	order := [4]int{0, 1, 2, 3}
	for i := len(order) - 1; i > 0; i-- {
		j := rng.IntN(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	for _, operation := range order {
		switch operation {
		case 0:
			brightness(r, g, b, float32(uniform(rng, low, high)))
		case 1:
			contrast(r, g, b, float32(uniform(rng, low, high)))
		case 2:
			saturation(r, g, b, float32(uniform(rng, low, high)))
		case 3:
			hue(r, g, b, float32(uniform(rng, -0.2*s, 0.2*s)))
		}
	}
}

// brightness multiplies.
func brightness(r, g, b []float32, factor float32) {
	for _, plane := range [3][]float32{r, g, b} {
		for i, v := range plane {
			plane[i] = clip(v * factor)
		}
	}
}

// contrast moves away from the mean of the grey image: factor·v + (1 − factor)·mean.
func contrast(r, g, b []float32, factor float32) {
	sum := float64(0)
	g, b = g[:len(r)], b[:len(r)]
	for i, v := range r {
		sum += float64(greyR*v + greyG*g[i] + greyB*b[i])
	}
	offset := (1 - factor) * float32(sum/float64(len(r)))
	for _, plane := range [3][]float32{r, g, b} {
		for i, v := range plane {
			plane[i] = clip(factor*v + offset)
		}
	}
}

// saturation moves away from grey: factor·v + (1 − factor)·grey.
func saturation(r, g, b []float32, factor float32) {
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		offset := (1 - factor) * (greyR*r[i] + greyG*g[i] + greyB*b[i])
		r[i] = clip(factor*r[i] + offset)
		g[i] = clip(factor*g[i] + offset)
		b[i] = clip(factor*b[i] + offset)
	}
}

// grey in all three channels.
func grey(r, g, b []float32) {
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		v := greyR*r[i] + greyG*g[i] + greyB*b[i]
		r[i], g[i], b[i] = v, v, v
	}
}

// hue turns the hue of HSV by shift, in turns.
func hue(r, g, b []float32, shift float32) {
	turn := float32(6 * (float64(shift) - math.Floor(float64(shift)))) // in sixths, 0 to 6
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		r[i], g[i], b[i] = turnHue(r[i], g[i], b[i], turn)
	}
}

// turnHue goes from RGB to HSV's hue in sixths of a turn and back; value and chroma stay. It has no
// branches: channels and hues are chosen by the order of their bits, as they are not negative.
func turnHue(r, g, b, turn float32) (float32, float32, float32) {
	high, low := bits(r), bits(r)
	difference, sector := bits(g-b), bits(0)
	if x := bits(g); x > high {
		difference, sector, high = bits(b-r), bits(2), x
	}
	if x := bits(b); x > high {
		difference, sector, high = bits(r-g), bits(4), x
	}
	low = min(low, bits(g), bits(b))
	chroma := float(high) - float(low)
	// Of grey the difference is 0, and so is the hue.
	h := float(sector) + float(difference)/float(max(bits(chroma), bits(1e-30))) + turn // −1 to 11
	if bits(h) < 0 {
		h += 6
	}
	if back := h - 6; bits(back) >= 0 {
		h = back
	}
	base := float(low)
	return base + chroma*clip(abs(h-3)-1), base + chroma*clip(2-abs(h-2)), base + chroma*clip(2-abs(h-4))
}

func bits(x float32) int32  { return int32(math.Float32bits(x)) }
func float(b int32) float32 { return math.Float32frombits(uint32(b)) }
func abs(x float32) float32 { return float(bits(x) & math.MaxInt32) }
