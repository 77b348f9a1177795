// Package photo makes images with the statistics of photographs, for benchmarks that need no data: what JPEG and its
// decoders cost depends on them.
package photo

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
)

// New is a picture of w × h pixels: the dead leaves model, discs of random colours that cover each other, their radii r
// distributed as r⁻³, which has the spectrum and the edges of natural images (Lee, Mumford, Huang: Occlusion models for
// natural images, 2001); shaded, and with a sensor's noise.
func New(w, h int, seed uint64) *image.RGBA {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	const smallest, largest = 2, 200 // radii, of a picture of 500 pixels
	scale := float64(max(w, h)) / 500
	for i := range 4000 {
		u := rng.Float64()
		if i < 100 {
			u = 0 // the background
		}
		radius := scale / math.Sqrt(u/(smallest*smallest)+(1-u)/(largest*largest))
		disc(m, rng.Float64()*float64(w), rng.Float64()*float64(h), radius, rng)
	}
	for i := range m.Pix {
		if i%4 < 3 {
			m.Pix[i] = byte8(float64(m.Pix[i]) + 5*rng.NormFloat64())
		}
	}
	return m
}

// disc of one colour, darker towards one side.
func disc(m *image.RGBA, x, y, radius float64, rng *rand.Rand) {
	c := [3]float64{255 * rng.Float64(), 255 * rng.Float64(), 255 * rng.Float64()}
	grey, angle := (c[0]+c[1]+c[2])/3, 2*math.Pi*rng.Float64()
	for i := range c {
		c[i] = 0.6*grey + 0.4*c[i] // natural colours are mostly not saturated
	}
	dx, dy := 0.3*math.Cos(angle)/radius, 0.3*math.Sin(angle)/radius
	b := image.Rect(int(x-radius), int(y-radius), int(x+radius)+2, int(y+radius)+2).Intersect(m.Bounds())
	for py := b.Min.Y; py < b.Max.Y; py++ {
		for px := b.Min.X; px < b.Max.X; px++ {
			ox, oy := float64(px)-x, float64(py)-y
			if ox*ox+oy*oy > radius*radius {
				continue
			}
			light := 1 + dx*ox + dy*oy
			m.SetRGBA(px, py, color.RGBA{byte8(c[0] * light), byte8(c[1] * light), byte8(c[2] * light), 255})
		}
	}
}

func byte8(v float64) uint8 { return uint8(math.Max(0, math.Min(255, v))) }

// JPEG of a picture, with chroma at half the resolution (4:2:0), of the quality that makes files as large as
// ImageNet's: about 110 KB for 500 × 375 pixels.
func JPEG(m image.Image) ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 92})
	return b.Bytes(), err
}
