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
	line       []float32 // a row of the box, RGB
	rows       []float32 // three planes of (box height, size)
}

// taps are the source pixels of each destination pixel: counts[i] from starts[i] on, with weights
// [i·most:]. four: every count is 4, as when an image grows; short loops are unrolled then.
type taps struct {
	starts, counts []int
	weights        []float32
	most           int
	four           bool
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
	if cap(r.line) < 3*from.w {
		r.line = make([]float32, 3*from.w)
	}
	rows, line := r.rows[:3*n], r.line[:3*from.w]
	for y := range from.h {
		for i, v := range img.Pix[3*((from.y+y)*img.W+from.x):][:len(line)] {
			line[i] = float32(v)
		}
		at := y * r.size
		r.horizontal.across(rows[at:at+r.size], rows[n+at:n+at+r.size], rows[2*n+at:2*n+at+r.size], line)
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
	t.four = reach <= 2 && in >= 4
	t.most = max(4, int(math.Ceil(reach))*2+1)
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
		if t.four {
			t.widen(i, in)
		}
	}
}

// widen the taps of destination i to four, with weights of zero, within a source of length in.
func (t *taps) widen(i, in int) {
	first, n := t.starts[i], t.counts[i]
	w := t.weights[i*t.most:][:4]
	clear(w[n:])
	if back := first + 4 - in; back > 0 {
		copy(w[back:], w[:n])
		clear(w[:back])
		first -= back
	}
	t.starts[i], t.counts[i] = first, 4
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

// across resizes one row of RGB to three rows.
func (t *taps) across(r, g, b, row []float32) {
	if t.four {
		for i, first := range t.starts {
			w, px := (*[4]float32)(t.weights[i*t.most:]), (*[12]float32)(row[3*first:])
			r[i] = w[0]*px[0] + w[1]*px[3] + w[2]*px[6] + w[3]*px[9]
			g[i] = w[0]*px[1] + w[1]*px[4] + w[2]*px[7] + w[3]*px[10]
			b[i] = w[0]*px[2] + w[1]*px[5] + w[2]*px[8] + w[3]*px[11]
		}
		return
	}
	for i, first := range t.starts {
		n := t.counts[i]
		w := t.weights[i*t.most:][:n]
		px := row[3*first:][:3*n]
		var sr, sg, sb float32
		for k, v := range w {
			sr += v * px[3*k]
			sg += v * px[3*k+1]
			sb += v * px[3*k+2]
		}
		r[i], g[i], b[i] = sr, sg, sb
	}
}

// down resizes the columns of a plane of rows of width pixels; the result is clipped to [0,1], which
// cubic weights can leave.
func (t *taps) down(dst, rows []float32, width int) {
	for i, first := range t.starts {
		out := dst[i*width:][:width]
		w := t.weights[i*t.most:][:t.counts[i]]
		if t.four {
			a, b := rows[first*width:][:len(out)], rows[(first+1)*width:][:len(out)]
			c, d := rows[(first+2)*width:][:len(out)], rows[(first+3)*width:][:len(out)]
			w := (*[4]float32)(w)
			for x := range out {
				out[x] = clip(w[0]*a[x] + w[1]*b[x] + w[2]*c[x] + w[3]*d[x])
			}
			continue
		}
		clear(out)
		for k, w := range w {
			row := rows[(first+k)*width:][:len(out)]
			for x := range out {
				out[x] += w * row[x]
			}
		}
		for x, v := range out {
			out[x] = clip(v)
		}
	}
}

// clip to [0,1], without a branch, which noise would make slow: floats that are not negative are in the
// order of their bits.
func clip(x float32) float32 {
	b := int32(math.Float32bits(x))
	b &^= b >> 31
	return math.Float32frombits(uint32(min(b, 0x3f800000)))
}
