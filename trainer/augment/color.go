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
			plane[i] = clip1(v * factor)
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
			plane[i] = clip1(factor*v + offset)
		}
	}
}

// saturation moves away from grey: factor·v + (1 − factor)·grey.
func saturation(r, g, b []float32, factor float32) {
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		offset := (1 - factor) * (greyR*r[i] + greyG*g[i] + greyB*b[i])
		r[i] = clip1(factor*r[i] + offset)
		g[i] = clip1(factor*g[i] + offset)
		b[i] = clip1(factor*b[i] + offset)
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
	// In sixths of a turn, made positive: the hue below is from −1 to 5.
	turn := float32(6 * (float64(shift) - math.Floor(float64(shift))))
	g, b = g[:len(r)], b[:len(r)]
	for i := range r {
		r[i], g[i], b[i] = turnHue(r[i], g[i], b[i], turn)
	}
}

// turnHue goes from RGB to the hue in sixths and back. Value and chroma stay, so each channel is the
// largest minus chroma times how far the hue is from that channel's own: the closed form of HSV to RGB,
// v − c·clip(min(k, 4 − k)) with k = (n + h) mod 6, n = 5, 3, 1.
func turnHue(r, g, b, turn float32) (float32, float32, float32) {
	high, low := max(r, g, b), min(r, g, b)
	chroma := high - low
	if chroma == 0 {
		return r, g, b
	}
	var h float32
	switch high {
	case r:
		h = (g - b) / chroma
	case g:
		h = 2 + (b-r)/chroma
	default:
		h = 4 + (r-g)/chroma
	}
	h += turn
	return high - chroma*away(h+5), high - chroma*away(h+3), high - chroma*away(h+1)
}

// away of k from 0 to 18.
func away(k float32) float32 {
	for k >= 6 {
		k -= 6
	}
	return clip1(min(k, 4-k))
}
