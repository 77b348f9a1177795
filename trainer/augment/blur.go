package augment

import "math"

// blurrer convolves with a Gaussian, one direction after the other, with zero padding as
// google-research/simclr's gaussian_blur (padding SAME).
type blurrer struct {
	size   int
	kernel []float32 // 2·radius+1 weights that sum to 1
	padded []float32 // a row or the whole plane with margins of zeros
	rows   []float32
}

// init: the kernel is a tenth of the height, rounded up to odd; below 20 pixels that is 1, no blur.
func (b *blurrer) init(size int) {
	radius := size / 10 / 2
	b.size = size
	b.kernel = make([]float32, 2*radius+1)
	b.padded = make([]float32, size+2*radius)
	b.rows = make([]float32, size*size)
}

func (b *blurrer) setSigma(sigma float64) {
	radius := len(b.kernel) / 2
	sum := 0.
	for i := range b.kernel {
		sum += gauss(i-radius, sigma)
	}
	for i := range b.kernel {
		b.kernel[i] = float32(gauss(i-radius, sigma) / sum)
	}
}

func gauss(x int, sigma float64) float64 { return math.Exp(-float64(x*x) / (2 * sigma * sigma)) }

// run blurs a plane (size,size) in place.
func (b *blurrer) run(plane []float32) {
	n, radius := b.size, len(b.kernel)/2
	if radius == 0 {
		return
	}
	for y := range n {
		copy(b.padded[radius:], plane[y*n:(y+1)*n]) // the margins are zero and stay so
		out := b.rows[y*n:][:n]
		clear(out)
		for k, w := range b.kernel {
			in := b.padded[k:][:len(out)]
			for x := range out {
				out[x] += w * in[x]
			}
		}
	}
	for y := range n {
		out := plane[y*n:][:n]
		clear(out)
		for k, w := range b.kernel {
			from := y + k - radius
			if from < 0 || from >= n {
				continue
			}
			in := b.rows[from*n:][:len(out)]
			for x := range out {
				out[x] += w * in[x]
			}
		}
		for x, v := range out {
			out[x] = clip(v)
		}
	}
}
