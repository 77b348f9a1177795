package augment

import (
	"math"
	"math/rand/v2"
)

// The operations that the paper compares in figures 4 and 5, and does not use. They act on planes (3,size,size).

// MidGrey is the middle of [0,1]: where images are normalised, as in DeVries & Taylor's code, it is about 0.
const MidGrey = 0.5

// square of a side at (x,y), which may reach beyond the image.
type square struct{ side, x, y int }

// draw a square. Its centre is any pixel, so that it may reach beyond the image (DeVries & Taylor 2017, arXiv 1708.04552,
// section 3.2).
func (c Cutout) draw(size int, rng *rand.Rand) square {
	side := int(math.Round(c.Size * float64(size)))
	return square{side, rng.IntN(size) - side/2, rng.IntN(size) - side/2}
}

// cutout covers the square of a side at (x,y), as far as it is in the image.
func cutout(planes []float32, size, side, x, y int) {
	left, right := max(x, 0), min(x+side, size)
	for c := range 3 {
		for row := max(y, 0); row < min(y+side, size); row++ {
			line := planes[(c*size+row)*size:][left:right]
			for i := range line {
				line[i] = MidGrey
			}
		}
	}
}

// sobel replaces each channel by the magnitude of its gradient: Sobel's kernels as tf.image.sobel_edges has them, with
// the border reflected, divided by 4, so that a step from black to white is 1. before has room for the image.
func sobel(planes, before []float32, size int) {
	copy(before, planes)
	inside := func(i int) int { // reflected, the border itself once
		if i < 0 {
			i = -i
		} else if i >= size {
			i = 2*(size-1) - i
		}
		return min(max(i, 0), size-1) // of a single pixel
	}
	for c := range 3 {
		plane, out := before[c*size*size:][:size*size], planes[c*size*size:][:size*size]
		for y := range size {
			above, here, below := plane[inside(y-1)*size:][:size], plane[y*size:][:size], plane[inside(y+1)*size:][:size]
			for x := range size {
				left, right := inside(x-1), inside(x+1)
				gx := above[right] - above[left] + 2*(here[right]-here[left]) + below[right] - below[left]
				gy := below[left] - above[left] + 2*(below[x]-above[x]) + below[right] - above[right]
				out[y*size+x] = min(float32(math.Sqrt(float64(gx*gx+gy*gy)))/4, 1)
			}
		}
	}
}

// rotate by quarter turns, counter-clockwise as tf.image.rot90. before has room for the image.
func rotate(planes, before []float32, size, quarters int) {
	copy(before, planes)
	last := size - 1
	for c := range 3 {
		plane, out := before[c*size*size:], planes[c*size*size:]
		for y := range size {
			for x := range size {
				from := y*size + x
				switch quarters {
				case 1:
					from = x*size + last - y
				case 2:
					from = (last-y)*size + last - x
				case 3:
					from = (last-x)*size + y
				}
				out[y*size+x] = plane[from]
			}
		}
	}
}
