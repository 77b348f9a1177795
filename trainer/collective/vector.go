package collective

import "sort"

// vector is several buffers as if they lay in one row: a model has a hundred small parameters, and one message for
// each would take longer than their bytes.
type vector struct {
	buffers [][]float32
	ends    []int // of each buffer
}

func newVector(buffers [][]float32) vector {
	v := vector{buffers: buffers, ends: make([]int, len(buffers))}
	n := 0
	for i, b := range buffers {
		n += len(b)
		v.ends[i] = n
	}
	return v
}

func (v vector) len() int {
	if len(v.ends) == 0 {
		return 0
	}
	return v.ends[len(v.ends)-1]
}

// pieces of the buffers that lie from lo to hi.
func (v vector) pieces(lo, hi int) [][]float32 {
	var ps [][]float32
	for i := sort.SearchInts(v.ends, lo+1); lo < hi; i++ {
		b, begin := v.buffers[i], v.ends[i]-len(v.buffers[i])
		end := min(hi, v.ends[i])
		if lo < end {
			ps = append(ps, b[lo-begin:end-begin])
		}
		lo = end
	}
	return ps
}

// copyTo copies the values from lo on, as many as dst holds; copyFrom sets them.
func (v vector) copyTo(dst []float32, lo int) {
	for _, p := range v.pieces(lo, lo+len(dst)) {
		dst = dst[copy(dst, p):]
	}
}

func (v vector) copyFrom(src []float32, lo int) {
	for _, p := range v.pieces(lo, lo+len(src)) {
		src = src[copy(p, src):]
	}
}

// add src to dst, of equal length.
func add(dst, src []float32) {
	src = src[:len(dst)]
	for len(dst) >= 8 && len(src) >= 8 {
		d, s := (*[8]float32)(dst), (*[8]float32)(src)
		d[0] += s[0]
		d[1] += s[1]
		d[2] += s[2]
		d[3] += s[3]
		d[4] += s[4]
		d[5] += s[5]
		d[6] += s[6]
		d[7] += s[7]
		dst, src = dst[8:], src[8:]
	}
	for i := range dst {
		dst[i] += src[i]
	}
}
