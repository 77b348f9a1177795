package augment

// #include "kernels.h"
import "C"

import (
	"math"
	"math/rand/v2"
)

// steps on the colours of a view, at most the four of the jitter and grey.
type steps struct {
	list  [5]C.step
	count int
}

func (s *steps) add(operation C.int, factor float64) {
	s.list[s.count] = C.step{operation: operation, factor: C.float(factor)}
	s.count++
}

// The operations, as torchvision's adjust_*; the paper's code differs from them in contrast (mean of each channel)
// and saturation (in HSV). Those by factors leave an image as it is at 1; hue turns, by a number of whole turns.
func (s *steps) brightness(factor float64) { s.add(C.BRIGHTNESS, factor) }
func (s *steps) contrast(factor float64)   { s.add(C.CONTRAST, factor) }
func (s *steps) saturation(factor float64) { s.add(C.SATURATION, factor) }
func (s *steps) hue(turns float64)         { s.add(C.HUE, 6*(turns-math.Floor(turns))) }
func (s *steps) grey()                     { s.add(C.GREY, 0) }

// run the steps on three planes (3,n), each clipped to [0,1] after every step.
func (s *steps) run(planes []float32) {
	if s.count > 0 {
		C.color(level, floats(planes), C.long(len(planes)/3), &s.list[0], C.int(s.count))
	}
}

// draw the steps of a view: jitter with JitterProbability and grey with GrayscaleProbability, independently.
func (c Color) draw(s *steps, rng *rand.Rand) {
	s.count = 0
	if rng.Float64() < c.JitterProbability {
		c.jitter(s, rng)
	}
	if rng.Float64() < c.GrayscaleProbability {
		s.grey()
	}
}

// jitter draws the four operations in random order, or as they are listed here; those without a change are left out.
func (c Color) jitter(s *steps, rng *rand.Rand) {
	order := [4]int{0, 1, 2, 3}
	for i := len(order) - 1; i > 0 && !c.FixedOrder; i-- {
		j := rng.IntN(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	for _, operation := range order {
		switch {
		case operation == 0 && c.Brightness > 0:
			s.brightness(factor(rng, c.Brightness))
		case operation == 1 && c.Contrast > 0:
			s.contrast(factor(rng, c.Contrast))
		case operation == 2 && c.Saturation > 0:
			s.saturation(factor(rng, c.Saturation))
		case operation == 3 && c.Hue > 0:
			s.hue(uniform(rng, -c.Hue, c.Hue))
		}
	}
}

// factor that changes by at most change.
func factor(rng *rand.Rand, change float64) float64 { return uniform(rng, max(1-change, 0), 1+change) }
