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
	if from.w > r.largest.w || from.h > r.largest.h {
		r.largest.w, r.largest.h = max(from.w, r.largest.w), max(from.h, r.largest.h)
		r.scratch = make([]float32, C.resize_scratch(axis(0, r.largest.w), axis(0, r.largest.h), C.int(r.size), r.filter))
	}
	mirror := C.int(0)
	if flip {
		mirror = 1
	}
	C.resize(level, (*C.uchar)(unsafe.SliceData(img.Pix)), C.long(3*img.W), axis(from.x, from.w), axis(from.y, from.h),
		C.int(r.size), r.filter, mirror, floats(r.scratch), floats(dst[:3*r.size*r.size]))
}

// axis of a box: its first pixel, and how many.
func axis(first, length int) C.span {
	return C.span{origin: C.double(first), extent: C.double(length), first: C.int(first), last: C.int(first + length)}
}
