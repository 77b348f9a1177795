package augment

import (
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// resampler resizes a part of an image to a square, in two passes, with the filter stretched where the
// image shrinks, as Pillow's Image.crop followed by Image.resize (Resample.c), but in float.
type resampler struct {
	size       int
	filter     func(x float64) float64
	support    float64
	horizontal taps
	vertical   taps
	rows       []float32 // three planes of (box height, size)
}

// taps are the source pixels of each destination pixel: counts[i] from starts[i] on, with weights
// [i·most:].
type taps struct {
	starts, counts []int
	weights        []float32
	most           int
}

func (r *resampler) init(size int, f Filter) {
	r.size, r.filter, r.support = size, cubic, 2
	if f == Bilinear {
		r.filter, r.support = triangle, 1
	}
}

func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

// cubic is Keys' kernel with a = −1/2.
func cubic(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// run resizes the part of img to dst (3,size,size), mirrored where flip is set. Bytes become [0,1].
func (r *resampler) run(dst []float32, img dataset.Image, from box, flip bool) {
	r.horizontal.set(from.w, r.size, r.filter, r.support, 1./255)
	r.vertical.set(from.h, r.size, r.filter, r.support, 1)
	if flip {
		r.horizontal.mirror()
	}
	n := from.h * r.size
	if cap(r.rows) < 3*n {
		r.rows = make([]float32, 3*n)
	}
	rows := r.rows[:3*n]
	for y := range from.h {
		row := img.Pix[3*((from.y+y)*img.W+from.x):][:3*from.w]
		at := y * r.size
		r.horizontal.across(rows[at:at+r.size], rows[n+at:n+at+r.size], rows[2*n+at:2*n+at+r.size], row)
	}
	plane := r.size * r.size
	for c := range 3 {
		r.vertical.down(dst[c*plane:(c+1)*plane], rows[c*n:(c+1)*n], r.size)
	}
}

// set the weights for resizing in pixels to out, each multiplied by scale.
func (t *taps) set(in, out int, filter func(float64) float64, support, scale float64) {
	step := float64(in) / float64(out)
	stretch := max(step, 1)
	reach := support * stretch
	t.most = int(math.Ceil(reach))*2 + 1
	if cap(t.weights) < out*t.most {
		t.weights = make([]float32, out*t.most)
	}
	if cap(t.starts) < out {
		t.starts, t.counts = make([]int, out), make([]int, out)
	}
	t.weights, t.starts, t.counts = t.weights[:out*t.most], t.starts[:out], t.counts[:out]
	for i := range out {
		center := (float64(i) + 0.5) * step
		first := max(0, int(center-reach+0.5))
		last := min(in, int(center+reach+0.5))
		sum := 0.
		for k := first; k < last; k++ {
			sum += filter((float64(k) - center + 0.5) / stretch)
		}
		w := t.weights[i*t.most:]
		for k := first; k < last; k++ {
			w[k-first] = float32(filter((float64(k)-center+0.5)/stretch) / sum * scale)
		}
		t.starts[i], t.counts[i] = first, last-first
	}
}

// mirror the destination.
func (t *taps) mirror() {
	for i, j := 0, len(t.starts)-1; i < j; i, j = i+1, j-1 {
		t.starts[i], t.starts[j] = t.starts[j], t.starts[i]
		t.counts[i], t.counts[j] = t.counts[j], t.counts[i]
		a, b := t.weights[i*t.most:(i+1)*t.most], t.weights[j*t.most:(j+1)*t.most]
		for k := range a {
			a[k], b[k] = b[k], a[k]
		}
	}
}

// across resizes one row of RGB bytes to three rows.
func (t *taps) across(r, g, b []float32, row []uint8) {
	for i, first := range t.starts {
		n := t.counts[i]
		w := t.weights[i*t.most:][:n]
		px := row[3*first:][:3*n]
		var sr, sg, sb float32
		for _, v := range w {
			sr += v * float32(px[0])
			sg += v * float32(px[1])
			sb += v * float32(px[2])
			px = px[3:]
		}
		r[i], g[i], b[i] = sr, sg, sb
	}
}

// down resizes the columns of a plane of rows of width pixels; the result is clipped to [0,1], which
// cubic weights can leave.
func (t *taps) down(dst, rows []float32, width int) {
	for i, first := range t.starts {
		out := dst[i*width:][:width]
		clear(out)
		for k, w := range t.weights[i*t.most:][:t.counts[i]] {
			row := rows[(first+k)*width:][:len(out)]
			for x := range out {
				out[x] += w * row[x]
			}
		}
		clip(out)
	}
}

// clip to [0,1].
func clip(v []float32) {
	for i, x := range v {
		v[i] = clip1(x)
	}
}

func clip1(x float32) float32 {
	if x < 0 {
		return 0
	}
	if x > 1 {
		return 1
	}
	return x
}
