// Package jpeg decodes JPEG with libjpeg-turbo to the bytes that Pillow gives, and so what PyTorch trains on:
// chroma is interpolated ("fancy upsampling"), where Go's image/jpeg repeats its nearest sample. Of a large image it can
// decode a part, or all of it shrunk, which takes less time.
package jpeg

/*
#cgo LDFLAGS: -ljpeg
#cgo noescape decode_header
#cgo nocallback decode_header
#cgo noescape decode_part
#cgo nocallback decode_part
#include "decode.h"
*/
import "C"

import (
	"errors"
	"unsafe"
)

// Part of an image that is shrunk by 1, 2, 4 or 8: W × H pixels from (X,Y) on, in pixels of the shrunk image. A side of
// the shrunk image is the image's, divided by Shrink and rounded up.
type Part struct{ X, Y, W, H, Shrink int }

// Size is an image's, from its header only.
func Size(data []byte) (width, height int, err error) {
	h, err := header(data)
	return int(h.width), int(h.height), err
}

// Decode to RGB, row by row. The caller has checked the Size.
func Decode(data []byte) (width, height int, rgb []uint8, err error) {
	h, err := header(data)
	if err != nil {
		return 0, 0, nil, err
	}
	width, height = int(h.width), int(h.height)
	rgb, err = decode(data, h, Part{W: width, H: height, Shrink: 1}, nil)
	return width, height, rgb, err
}

// DecodePart decodes at least the pixels that want, a part of the image that is not shrunk, covers after shrinking: those
// have the same values as in a whole image that is decoded and shrunk so. It says which part it has decoded; of the
// columns beside those wanted some differ a little, for want of their neighbours. The pixels are in buffer where it is
// large enough.
func DecodePart(data []byte, want Part, buffer []uint8) (got Part, rgb []uint8, err error) {
	h, err := header(data)
	if err != nil {
		return Part{}, nil, err
	}
	got = want
	// Interpolated chroma of the outermost columns needs the next block.
	got.X, got.W = widened(want.X, want.W, int(h.width), int(h.block), want.Shrink)
	got.Y, got.H = widened(want.Y, want.H, int(h.height), 0, want.Shrink)
	rgb, err = decode(data, h, got, buffer)
	return got, rgb, err
}

// widened gives the pixels [first, first+length) of a side of size, after shrinking, with a whole block on each side; 0:
// none.
func widened(first, length, size, block, shrink int) (int, int) {
	block /= shrink
	end := min((size+shrink-1)/shrink, (first+length+shrink-1)/shrink+block)
	first /= shrink
	if block > 0 {
		first = max(0, first/block-1) * block
		end = min((size+shrink-1)/shrink, (end+block-1)/block*block)
	}
	return first, end - first
}

func header(data []byte) (C.header, error) {
	var h C.header
	var message [C.MESSAGE]C.char
	if C.decode_header((*C.uchar)(unsafe.SliceData(data)), C.ulong(len(data)), &h, &message[0]) != 0 {
		return h, errors.New(C.GoString(&message[0]))
	}
	return h, nil
}

func decode(data []byte, h C.header, p Part, pix []uint8) ([]uint8, error) {
	size := p.W * p.H * 3
	if h.inks != 0 {
		size = p.W * p.H * 4
	}
	if cap(pix) < size {
		pix = make([]uint8, size)
	}
	pix = pix[:size]
	var message [C.MESSAGE]C.char
	part := C.part{x: C.int(p.X), y: C.int(p.Y), width: C.int(p.W), height: C.int(p.H), shrink: C.int(p.Shrink)}
	if C.decode_part((*C.uchar)(unsafe.SliceData(data)), C.ulong(len(data)), part, (*C.uchar)(unsafe.SliceData(pix)), &message[0]) != 0 {
		return nil, errors.New(C.GoString(&message[0]))
	}
	if h.inks != 0 {
		pix = fromCMYK(pix)
	}
	return pix, nil
}

// fromCMYK converts in place, as Pillow's convert("RGB") of a JPEG, whose ink it takes to be inverted, as Adobe
// writes it: no colour profile, each colour is its own light times black's.
func fromCMYK(pix []uint8) []uint8 {
	n := len(pix) / 4
	for i := range n {
		k := int(pix[4*i+3])
		for c := range 3 {
			t := (255-int(pix[4*i+c]))*k + 128
			pix[3*i+c] = uint8(max(0, k-(t+t>>8)>>8))
		}
	}
	return pix[:3*n]
}
