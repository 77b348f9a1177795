package augment

import (
	"syscall"
	"testing"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// BenchmarkView is the time of one view on one core.
func BenchmarkView(b *testing.B) {
	for name, c := range map[string]struct {
		source int
		config Config
	}{
		"CIFAR":    {32, Default(32, 0.5, false)},
		"Bilinear": {32, bilinear(Default(32, 0.5, false))},
		"ImageNet": {400, Default(224, 1, true)},
	} {
		b.Run(name, func(b *testing.B) {
			p, err := New(c.config, 1)
			if err != nil {
				b.Fatal(err)
			}
			img, dst := noise(c.source, c.source), make([]float32, 3*c.config.Size*c.config.Size)
			b.ReportAllocs()
			start := processTime()
			for i := 0; b.Loop(); i++ {
				p.Apply(dst, img, 0, i, 0)
			}
			b.ReportMetric(float64(b.N)/(processTime()-start), "views/s/core")
		})
	}
}

// BenchmarkJPEG is the time of a photograph's two views on one core, with decoding it.
func BenchmarkJPEG(b *testing.B) {
	file, err := photo.JPEG(photo.New(500, 375, 1))
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(Default(224, 1, true), 1)
	if err != nil {
		b.Fatal(err)
	}
	img := dataset.Image{W: 500, H: 375, Encoded: &dataset.Encoded{Data: file}}
	dst := make([]float32, 3*224*224)
	var pixels []uint8
	b.ReportAllocs()
	start := processTime()
	for i := 0; b.Loop(); i++ {
		part, err := img.Decoded(p.Needs(500, 375, 0, i, 0, 1), &pixels)
		if err != nil {
			b.Fatal(err)
		}
		p.Apply(dst, part, 0, i, 0)
		p.Apply(dst, part, 0, i, 1)
	}
	b.ReportMetric(float64(b.N)/(processTime()-start), "images/s/core")
}

func bilinear(c Config) Config {
	c.Crop.Filter = Bilinear
	return c
}

// processTime in seconds: the clock on the wall counts other programs on a busy machine.
func processTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// noise is an image whose neighbouring pixels differ much, by the linear congruential generator of
// testdata/reference.py.
func noise(w, h int) dataset.Image {
	img := dataset.Image{W: w, H: h, Pix: make([]uint8, 3*w*h)}
	x := uint32(1)
	for i := range img.Pix {
		x = x*1664525 + 1013904223
		img.Pix[i] = uint8(x >> 24)
	}
	return img
}
