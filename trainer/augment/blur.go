package augment

// #include "kernels.h"
import "C"

import "math"

// blurrer convolves with a Gaussian, one direction after the other, with zero padding as google-research/simclr's
// gaussian_blur (padding SAME).
type blurrer struct {
	size, radius int
	kernel       []float32 // from its centre outwards
	scratch      []float32
}

func (b *blurrer) init(size, kernel int) {
	b.size, b.radius = size, kernel/2
	b.kernel = make([]float32, b.radius+1)
	b.scratch = make([]float32, C.blur_scratch(C.int(size), C.int(b.radius)))
}

// negligible is a weight that no pixel shows: a sixteenth of the distance between floats below 1.
const negligible = 1. / (1 << 28)

// run blurs three planes (3,size,size) in place.
func (b *blurrer) run(planes []float32, sigma float64) {
	sum := 1.
	for x := 1; x <= b.radius; x++ {
		sum += 2 * gauss(x, sigma)
	}
	radius := 0 // of what is not negligible: of a small sigma that is little
	for x := range b.kernel {
		b.kernel[x] = float32(gauss(x, sigma) / sum)
		if b.kernel[x] > negligible {
			radius = x
		}
	}
	if radius > 0 {
		C.blur(level, floats(planes[:3*b.size*b.size]), C.int(b.size), floats(b.kernel), C.int(radius), floats(b.scratch))
	}
}

func gauss(x int, sigma float64) float64 { return math.Exp(-float64(x*x) / (2 * sigma * sigma)) }
