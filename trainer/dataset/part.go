package dataset

import (
	"bytes"

	"github.com/simclr-operator/simclr-operator/trainer/dataset/jpeg"
)

// Part of an image, shrunk by 1, 2, 4 or 8.
type Part = jpeg.Part

// largePixels is from how many on a JPEG file is decoded at each access, and then only what a Transform looks at. That
// depends on nothing but the file: where all images fit into memory, too, large ones are kept as they are stored, or
// what an image is shrunk to would depend on the machine. Smaller ones are faster kept decoded.
const largePixels = 1 << 17

// Encoded is a large JPEG file that is not decoded yet.
type Encoded struct {
	Data []byte
	File string // its name, for messages
}

// Planner is a Transform that knows before an image is decoded what it will look at.
type Planner interface {
	// Needs is the part of an image of w × h pixels that some views look at, in its pixels, and how much it may be shrunk
	// for them.
	Needs(w, h, epoch, index int, views ...int) Part
}

// Covers says which part of the image Pix is, in pixels of the shrunk image.
func (m Image) Covers() Part {
	if m.Part.Shrink == 0 {
		return Part{W: m.W, H: m.H, Shrink: 1}
	}
	return m.Part
}

// Decoded is the image with the pixels of a part of it, or more: a large JPEG is decoded now, into buffer, which grows.
func (m Image) Decoded(needs Part, buffer *[]uint8) (Image, error) {
	if m.Encoded == nil {
		return m, nil
	}
	part, pix, err := jpeg.DecodePart(m.Encoded.Data, needs, *buffer)
	if err != nil {
		return Image{}, imageChanged(m.Encoded.File, err)
	}
	*buffer = pix
	return Image{W: m.W, H: m.H, Pix: pix, Part: part}, nil
}

// needs of a transform.
func needs(t Transform, m Image, epoch, index int, views ...int) Part {
	if p, ok := t.(Planner); ok {
		return p.Needs(m.W, m.H, epoch, index, views...)
	}
	return Part{W: m.W, H: m.H, Shrink: 1}
}

// bytes that an image takes in memory.
func (m Image) bytes() int64 {
	if m.Encoded != nil {
		return int64(len(m.Encoded.Data))
	}
	return int64(len(m.Pix))
}

// checked is an image to keep, of a file's bytes: all of it was decoded once.
func checked(data []byte, file string) (Image, error) {
	if _, err := decodeHeader(data); err != nil {
		return Image{}, err
	}
	m, err := decode(data)
	if err == nil && isLarge(data, m.W, m.H) {
		m.Pix, m.Encoded = nil, &Encoded{data, file}
	}
	return m, err
}

// unchecked is an image of a file's bytes that were checked before.
func unchecked(data []byte, file string) (Image, error) {
	c, err := decodeHeader(data)
	if err != nil {
		return Image{}, err
	}
	if isLarge(data, c.Width, c.Height) {
		return Image{W: c.Width, H: c.Height, Encoded: &Encoded{data, file}}, nil
	}
	return decode(data)
}

func isLarge(data []byte, w, h int) bool {
	return bytes.HasPrefix(data, jpegMagic) && w*h >= largePixels
}
