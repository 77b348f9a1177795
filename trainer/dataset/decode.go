package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/dataset/jpeg"
)

// maxPixels of an image, for the same reason as maxFileBytes.
const maxPixels = 50_000_000

var (
	jpegMagic = []byte{0xff, 0xd8, 0xff}
	pngMagic  = []byte("\x89PNG\r\n\x1a\n")
)

// ReadImage reads a file that is no dataset's, as a dataset would. What is wrong with it is a user error.
func ReadImage(file string) (Image, error) {
	data, err := readFile(context.Background(), directory(filepath.Dir(file)), filepath.Base(file))
	var m Image
	if err == nil {
		m, err = checked(data, file)
	}
	if err != nil {
		return Image{}, contract.UserErrorf("InvalidImage", "%s: %w; name a JPEG or PNG file", file, err)
	}
	return m, nil
}

// decodeHeader is the size of an image, from its header only.
func decodeHeader(data []byte) (image.Config, error) {
	var c image.Config
	var err error
	switch {
	case bytes.HasPrefix(data, jpegMagic):
		c.Width, c.Height, err = jpeg.Size(data)
	case bytes.HasPrefix(data, pngMagic):
		c, err = png.DecodeConfig(bytes.NewReader(data))
	default:
		err = errors.New("neither JPEG nor PNG")
	}
	if err == nil && (c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height) {
		err = fmt.Errorf("%d × %d pixels, allowed are 1 to %d", c.Width, c.Height, maxPixels)
	}
	return c, err
}

// decode a file's bytes whose header is good.
func decode(data []byte) (Image, error) {
	if bytes.HasPrefix(data, jpegMagic) {
		w, h, pix, err := jpeg.Decode(data)
		return Image{W: w, H: h, Pix: pix}, err
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return Image{}, err
	}
	return toRGB(m), nil
}

// toRGB converts grey and colour; transparency is dropped, the colour under it stays (as Pillow's
// convert("RGB") does).
func toRGB(m image.Image) Image {
	b := m.Bounds()
	out := Image{W: b.Dx(), H: b.Dy(), Pix: make([]uint8, 3*b.Dx()*b.Dy())}
	switch m := m.(type) {
	case *image.Gray:
		eachPixel(b, out.Pix, func(x, y int) (uint8, uint8, uint8) {
			v := m.Pix[m.PixOffset(x, y)]
			return v, v, v
		})
	case *image.NRGBA:
		eachPixel(b, out.Pix, func(x, y int) (uint8, uint8, uint8) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[1], p[2]
		})
	case *image.NRGBA64: // the high bytes
		eachPixel(b, out.Pix, func(x, y int) (uint8, uint8, uint8) {
			p := m.Pix[m.PixOffset(x, y):]
			return p[0], p[2], p[4]
		})
	default:
		eachPixel(b, out.Pix, func(x, y int) (uint8, uint8, uint8) {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			return c.R, c.G, c.B
		})
	}
	return out
}

func eachPixel(b image.Rectangle, pix []uint8, at func(x, y int) (uint8, uint8, uint8)) {
	i := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			pix[i], pix[i+1], pix[i+2] = at(x, y)
			i += 3
		}
	}
}
