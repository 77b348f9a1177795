package augment

import (
	"math"
	"math/rand/v2"
)

// box is a part of an image, in pixels.
type box struct{ x, y, w, h int }

// mostShrunk is how much a JPEG decoder can shrink.
const mostShrunk = 8

// shrink by a power of two, so that the box still has twice as many pixels as a view each way: the view then differs
// from that of the whole image by about a level of 8 bits, a quarter of what another filter makes.
func (b box) shrink(size int) int {
	s := mostShrunk
	for s > 1 && (b.w < 2*s*size || b.h < 2*s*size) {
		s /= 2
	}
	return s
}

// cropAttempts before the fallback: google-research/simclr's (torchvision has 10).
const cropAttempts = 100

// box of a view: the random crop, or the central square.
func (c Config) box(w, h int, rng *rand.Rand) box {
	if c.Crop.On {
		return c.Crop.box(w, h, rng)
	}
	side := max(1, int(math.Round(c.CenterFraction*float64(min(w, h)))))
	return box{(w - side) / 2, (h - side) / 2, side, side}
}

// box draws area and ratio until the rectangle fits, then its place. An image so long and narrow that
// nothing fits gives its central part of the nearest ratio, as torchvision does.
func (c Crop) box(w, h int, rng *rand.Rand) box {
	low, high := math.Log(c.MinRatio), math.Log(c.MaxRatio)
	for range cropAttempts {
		area := float64(w) * float64(h) * uniform(rng, c.MinScale, c.MaxScale)
		ratio := math.Exp(uniform(rng, low, high))
		cw, ch := int(math.Round(math.Sqrt(area*ratio))), int(math.Round(math.Sqrt(area/ratio)))
		if cw > 0 && ch > 0 && cw <= w && ch <= h {
			return box{rng.IntN(w - cw + 1), rng.IntN(h - ch + 1), cw, ch}
		}
	}
	cw, ch := w, h
	switch ratio := float64(w) / float64(h); {
	case ratio < c.MinRatio:
		ch = min(h, max(1, int(math.Round(float64(w)/c.MinRatio))))
	case ratio > c.MaxRatio:
		cw = min(w, max(1, int(math.Round(float64(h)*c.MaxRatio))))
	}
	return box{(w - cw) / 2, (h - ch) / 2, cw, ch}
}
