package augment

import (
	"image"
	"image/color"
	"image/draw"
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// Numbers of a picture, in its pixels.
const (
	shownSize = 128 // views of fewer pixels are enlarged to about that
	perRow    = 8   // pairs
	gap       = 4   // between views
)

// paper is the colour around the views: no grey of an image.
var paper = color.NRGBA{255, 255, 255, 255}

// Picture of an image and of n pairs of its views, to be looked at: on the left the image, beside it a pair in each
// column, the first view above the second, of the epochs 0 to n − 1, where the image is the first of its dataset. After
// eight pairs comes another row. Small views are enlarged, each pixel to a square of pixels.
func Picture(c Config, seed uint64, img dataset.Image, n int) (*image.NRGBA, error) {
	p, err := New(c, seed)
	if err != nil {
		return nil, err
	}
	scale := max(1, int(math.Round(shownSize/float64(c.Size))))
	tile := c.Size*scale + gap
	original := 2*tile - gap
	rows := (n + perRow - 1) / perRow
	m := image.NewNRGBA(image.Rect(0, 0, 3*gap+original+min(n, perRow)*tile, rows*(2*tile+2*gap)-gap))
	draw.Draw(m, m.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	whole, err := New(Config{Size: original, CenterFraction: 1}, 0)
	if err != nil {
		return nil, err
	}
	values := make([]float32, 3*original*original)
	var pixels []uint8
	all, err := img.Decoded(dataset.Part{W: img.W, H: img.H, Shrink: 1}, &pixels)
	if err != nil {
		return nil, err
	}
	whole.Apply(values, squared(all), 0, 0, 0)
	paint(m, image.Pt(gap, gap), values, original, 1)
	values = values[:3*c.Size*c.Size]
	for i := range n {
		corner := image.Pt(3*gap+original+i%perRow*tile, gap+i/perRow*(2*tile+2*gap))
		seen, err := img.Decoded(p.Needs(img.W, img.H, i, 0, 0, 1), &pixels)
		if err != nil {
			return nil, err
		}
		for view := range 2 {
			p.Apply(values, seen, i, 0, view)
			paint(m, corner.Add(image.Pt(0, view*tile)), values, c.Size, scale)
		}
	}
	return m, nil
}

// squared is an image in the middle of a square of the paper's colour.
func squared(img dataset.Image) dataset.Image {
	side := max(img.W, img.H)
	out := dataset.Image{W: side, H: side, Pix: make([]uint8, 3*side*side)}
	for i := range out.Pix {
		out.Pix[i] = paper.R
	}
	left, top := (side-img.W)/2, (side-img.H)/2
	for y := range img.H {
		copy(out.Pix[3*((top+y)*side+left):], img.Pix[3*y*img.W:3*(y+1)*img.W])
	}
	return out
}

// paint planes (3,size,size), each pixel a square of scale × scale.
func paint(m *image.NRGBA, at image.Point, planes []float32, size, scale int) {
	n := size * size
	byteOf := func(v float32) uint8 { return uint8(255*v + 0.5) }
	for y := range size * scale {
		for x := range size * scale {
			i := y/scale*size + x/scale
			m.SetNRGBA(at.X+x, at.Y+y, color.NRGBA{byteOf(planes[i]), byteOf(planes[n+i]), byteOf(planes[2*n+i]), 255})
		}
	}
}
