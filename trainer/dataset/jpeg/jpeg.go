// Package jpeg decodes JPEG with libjpeg-turbo to the bytes that Pillow gives, and so what PyTorch trains on:
// chroma is interpolated ("fancy upsampling"), where Go's image/jpeg repeats its nearest sample.
package jpeg

// #cgo LDFLAGS: -lturbojpeg
// #include <turbojpeg.h>
import "C"

import (
	"errors"
	"unsafe"
)

// flags: a truncated or corrupt file is an error, not a picture that is grey from there on, and a progressive file
// may not have so many scans that decoding takes for ever.
const flags = C.TJFLAG_ACCURATEDCT | C.TJFLAG_STOPONWARNING | C.TJFLAG_LIMITSCANS

// decoder of one image. Making one costs little beside decoding the smallest image, so none is kept.
type decoder struct {
	handle C.tjhandle
	data   *C.uchar
	length C.ulong

	width, height, subsampling, space C.int
}

// newDecoder reads the header. Close it unless there is an error.
func newDecoder(data []byte) (*decoder, error) {
	d := &decoder{handle: C.tjInitDecompress(), data: (*C.uchar)(unsafe.SliceData(data)), length: C.ulong(len(data))}
	if d.handle == nil {
		return nil, errors.New(C.GoString(C.tjGetErrorStr2(nil)))
	}
	if C.tjDecompressHeader3(d.handle, d.data, d.length, &d.width, &d.height, &d.subsampling, &d.space) != 0 {
		defer d.close()
		return nil, d.err()
	}
	return d, nil
}

func (d *decoder) close() { C.tjDestroy(d.handle) }

func (d *decoder) err() error { return errors.New(C.GoString(C.tjGetErrorStr2(d.handle))) }

// decompress to pixels of so many bytes.
func (d *decoder) decompress(format C.int, bytes int) ([]uint8, error) {
	pix := make([]uint8, int(d.width)*int(d.height)*bytes)
	if C.tjDecompress2(d.handle, d.data, d.length, (*C.uchar)(unsafe.SliceData(pix)), d.width, 0, d.height, format, flags) != 0 {
		return nil, d.err()
	}
	return pix, nil
}

// Size is an image's, from its header only.
func Size(data []byte) (width, height int, err error) {
	d, err := newDecoder(data)
	if err != nil {
		return 0, 0, err
	}
	defer d.close()
	return int(d.width), int(d.height), nil
}

// Decode to RGB, row by row. The caller has checked the Size.
func Decode(data []byte) (width, height int, rgb []uint8, err error) {
	d, err := newDecoder(data)
	if err != nil {
		return 0, 0, nil, err
	}
	defer d.close()
	if d.space == C.TJCS_CMYK || d.space == C.TJCS_YCCK {
		if rgb, err = d.decompress(C.TJPF_CMYK, 4); err == nil {
			rgb = fromCMYK(rgb)
		}
	} else {
		rgb, err = d.decompress(C.TJPF_RGB, 3)
	}
	return int(d.width), int(d.height), rgb, err
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
