package augment

// #include "kernels.h"
import "C"

import (
	"unsafe"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// resampler resizes a part of an image to a square, antialiased, as Pillow's Image.crop followed by Image.resize
// (Resample.c), but in float.
type resampler struct {
	size    int
	filter  C.int
	largest box // for which scratch is large enough
	scratch []float32
}

func (r *resampler) init(size int, f Filter) {
	r.size, r.filter = size, C.BICUBIC
	if f == Bilinear {
		r.filter = C.BILINEAR
	}
}

// run resizes the part of img to dst (3,size,size), mirrored where flip is set. Bytes become [0,1].
func (r *resampler) run(dst []float32, img dataset.Image, from box, flip bool) {
	p := img.Covers()
	x, y := axis(from.x, from.w, p.X, p.W, p.Shrink), axis(from.y, from.h, p.Y, p.H, p.Shrink)
	if w, h := int(x.last-x.first), int(y.last-y.first); w > r.largest.w || h > r.largest.h {
		r.largest.w, r.largest.h = max(w, r.largest.w), max(h, r.largest.h)
		r.scratch = make([]float32, C.resize_scratch(axis(0, r.largest.w, 0, r.largest.w, 1), axis(0, r.largest.h, 0, r.largest.h, 1), C.int(r.size), r.filter))
	}
	mirror := C.int(0)
	if flip {
		mirror = 1
	}
	C.resize(level, (*C.uchar)(unsafe.SliceData(img.Pix)), C.long(3*p.W), x, y, C.int(r.size), r.filter, mirror,
		floats(r.scratch), floats(dst[:3*r.size*r.size]))
}

// axis of a box, its first pixel and how many, in an image shrunk to size pixels from begin on. A pixel of the shrunk
// image that is partly in the box is looked at.
func axis(first, length, begin, size, shrink int) C.span {
	end := first + length
	return C.span{
		origin: C.double(float64(first)/float64(shrink) - float64(begin)), extent: C.double(float64(length) / float64(shrink)),
		first: C.int(max(0, first/shrink-begin)), last: C.int(min(size, (end+shrink-1)/shrink-begin)),
	}
}
