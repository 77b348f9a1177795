package xla

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// Between views that a device made and the host's.
const (
	viewTolerance = 1e-4     // of single precision in another order, of weights, too; most differ by 1e-6
	eightBits     = 1. / 255 // a level: crops that the host resizes are rounded to these
)

// plain is a configuration of a crop alone.
func plain(size int) augment.Config { return augment.Default(size, 1, false).CropAndFlip() }

func changed(c augment.Config, change func(*augment.Config)) augment.Config {
	change(&c)
	return c
}

// images of a set: noise, flat ones, black and white, large JPEG files.
func randomImage(w, h int) dataset.Image {
	r := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	img := dataset.Image{W: w, H: h, Pix: make([]uint8, 3*w*h)}
	for i := range img.Pix {
		img.Pix[i] = uint8(r.Uint32())
		if i < len(img.Pix)/3 { // black and white: there cubic weights leave the range
			img.Pix[i] = 255 * (img.Pix[i] >> 7)
		}
		if i > 2*len(img.Pix)/3 {
			img.Pix[i] = uint8(i / 3 / w) // little changes, and of grey no hue
		}
	}
	return img
}

func jpegImage(t *testing.T, w, h int) dataset.Image {
	t.Helper()
	data, err := photo.JPEG(photo.New(w, h, 3))
	if err != nil {
		t.Fatal(err)
	}
	return dataset.Image{W: w, H: h, Encoded: &dataset.Encoded{Data: data, File: "photo.jpg"}}
}

// prepared is what a device makes two views of each image of, and what the host makes.
func prepared(t *testing.T, c augment.Config, edge int, images []dataset.Image) (sources []uint8, parameters, host []float32) {
	t.Helper()
	const epoch, views, seed = 3, 2, 7
	newPreparer, err := augment.PreparerFactory(c, seed, edge)
	if err != nil {
		t.Fatal(err)
	}
	preparer := newPreparer().(dataset.Preparer)
	pipeline, err := augment.New(c, seed)
	if err != nil {
		t.Fatal(err)
	}
	rows, values, bytes := views*len(images), 3*c.Size*c.Size, 3*edge*edge
	sources, parameters = make([]uint8, rows*bytes), make([]float32, rows*augment.Parameters)
	for i := range sources {
		sources[i] = 199 // what an earlier batch left there
	}
	host = make([]float32, rows*values)
	var pixels []uint8
	for i, img := range images {
		decoded, err := img.Decoded(pipeline.Needs(img.W, img.H, epoch, i, 0, 1), &pixels)
		if err != nil {
			t.Fatal(err)
		}
		for v := range views {
			row := v*len(images) + i
			preparer.Prepare(sources[row*bytes:(row+1)*bytes], parameters[row*augment.Parameters:(row+1)*augment.Parameters], decoded, epoch, i, v)
			pipeline.Apply(host[row*values:(row+1)*values], decoded, epoch, i, v)
		}
	}
	return sources, parameters, host
}

// made are the views of images, by an engine's devices and by the host.
func made(t *testing.T, e *Engine, c augment.Config, edge int, images []dataset.Image) (device, host []float32) {
	t.Helper()
	sources, parameters, host := prepared(t, c, edge, images)
	rows := 2 * len(images)
	program, err := e.Views(c, edge, rows)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	out, err := program.Make(sources, parameters)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Remote.Close()
	for _, b := range out.Remote.(onDevices)[:shares(e, rows)] {
		part, err := e.download(onDevices{b})
		if err != nil {
			t.Fatal(err)
		}
		device = append(device, part...)
	}
	return device, host
}

// shares are the devices that have another part of so many rows.
func shares(e *Engine, rows int) int {
	if rows%e.Devices() == 0 {
		return e.Devices()
	}
	return 1
}

func furthest(t *testing.T, device, host []float32) (most float64) {
	t.Helper()
	if len(device) != len(host) {
		t.Fatalf("%d values, want %d", len(device), len(host))
	}
	for i := range host {
		if d := math.Abs(float64(device[i] - host[i])); !(d <= most) {
			most = d
		}
	}
	return most
}

// Views that a device makes are the host's: each operation, and all of them, of images of all kinds.
func TestViewsAreTheHosts(t *testing.T) {
	small := []dataset.Image{randomImage(50, 44), randomImage(33, 61), randomImage(12, 64), randomImage(64, 9), randomImage(24, 24), randomImage(64, 64)}
	all := changed(augment.Default(24, 1, true), func(c *augment.Config) {
		c.Cutout, c.Sobel = augment.Cutout{On: true, Probability: 0.5, Size: 0.3}, augment.Sobel{On: true, Probability: 0.3}
		c.Noise, c.Rotation = augment.Noise{On: true, Probability: 0.5, Sigma: 0.1}, augment.Rotation{On: true, Probability: 0.5}
	})
	color := func(change func(*augment.Color)) augment.Config {
		return changed(plain(24), func(c *augment.Config) {
			c.Color = augment.Color{On: true, JitterProbability: 1}
			change(&c.Color)
		})
	}
	for name, c := range map[string]augment.Config{
		"crop and flip":    plain(24),
		"bilinear":         changed(plain(24), func(c *augment.Config) { c.Crop.Filter = augment.Bilinear }),
		"no crop":          changed(plain(24), func(c *augment.Config) { c.Crop.On = false }),
		"enlarged":         plain(100),
		"brightness":       color(func(c *augment.Color) { c.Brightness = 0.8 }),
		"contrast":         color(func(c *augment.Color) { c.Contrast = 0.8 }),
		"saturation":       color(func(c *augment.Color) { c.Saturation = 0.8 }),
		"hue":              color(func(c *augment.Color) { c.Hue = 0.5 }),
		"grey":             color(func(c *augment.Color) { c.GrayscaleProbability = 0.5 }),
		"color":            changed(augment.Default(24, 1, false), func(*augment.Config) {}),
		"color, fixed":     changed(augment.Default(24, 1, false), func(c *augment.Config) { c.Color.FixedOrder = true }),
		"color, strongest": augment.Default(24, 2.5, false),
		"cutout":           changed(plain(24), func(c *augment.Config) { c.Cutout = augment.Cutout{On: true, Probability: 0.7, Size: 0.5} }),
		"sobel":            changed(plain(24), func(c *augment.Config) { c.Sobel = augment.Sobel{On: true, Probability: 0.7} }),
		"noise":            changed(plain(25), func(c *augment.Config) { c.Noise = augment.Noise{On: true, Probability: 0.7, Sigma: 0.1} }),
		"blur":             changed(plain(24), func(c *augment.Config) { c.Blur = augment.Default(240, 1, true).Blur }),
		"blur of one pixel": changed(plain(24), func(c *augment.Config) {
			c.Blur = augment.Blur{On: true, Probability: 1, Kernel: 1, MinSigma: 1, MaxSigma: 2}
		}),
		"blur, sharpest": changed(plain(24), func(c *augment.Config) {
			c.Blur = augment.Blur{On: true, Probability: 0.7, Kernel: 9, MinSigma: 0.01, MaxSigma: 100}
		}),
		"rotation":          changed(plain(24), func(c *augment.Config) { c.Rotation = augment.Rotation{On: true, Probability: 0.8} }),
		"all":               all,
		"the paper's":       augment.Default(32, 0.5, true),
		"one branch":        changed(all, func(c *augment.Config) { c.OneBranch = true }),
		"one branch, color": changed(augment.Default(24, 1, false), func(c *augment.Config) { c.OneBranch, c.Crop.On, c.Flip.On = true, false, false }),
	} {
		t.Run(name, func(t *testing.T) {
			device, host := made(t, newEngine(t, 1, false), c, c.Edge(0)+64, small) // so large that all crops fit
			d := furthest(t, device, host)
			if !(d <= viewTolerance) {
				t.Errorf("differ by %.1e", d)
			}
		})
	}
}

// Devices share the views, or each has all where they cannot share them.
func TestDevicesShareViews(t *testing.T) {
	images := []dataset.Image{randomImage(32, 32), randomImage(31, 30), randomImage(20, 32), randomImage(9, 9)}
	c := augment.Default(16, 1, true)
	for _, devices := range []int{1, 2, 4, 3} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			e := newEngine(t, devices, false)
			device, host := made(t, e, c, c.Edge(32), images)
			if d := furthest(t, device, host); !(d <= viewTolerance) {
				t.Errorf("differ by %.1e", d)
			}
		})
	}
}

// Crops of any size: what is shrunk by the decoder, and what the host has to resize.
func TestViewsOfLargeImages(t *testing.T) {
	images := []dataset.Image{jpegImage(t, 500, 375), jpegImage(t, 1210, 907), randomImage(70, 300)}
	for name, tc := range map[string]struct {
		c         augment.Config
		tolerance float64
	}{
		"all fit":       {changed(plain(32), func(c *augment.Config) { c.Crop.MinScale, c.Crop.MaxScale = 0.001, 0.002 }), viewTolerance},
		"some do":       {plain(32), eightBits/2 + viewTolerance},
		"with color":    {augment.Default(32, 0.5, false), 4 * eightBits},
		"with blur":     {augment.Default(64, 1, true), 4 * eightBits},
		"photo, shrunk": {changed(plain(96), func(c *augment.Config) { c.Crop.MinScale = 0.9 }), eightBits/2 + viewTolerance},
	} {
		t.Run(name, func(t *testing.T) {
			device, host := made(t, newEngine(t, 1, false), tc.c, tc.c.Edge(0), images)
			d := furthest(t, device, host)
			if !(d <= tc.tolerance) {
				t.Errorf("differ by %.1e", d)
			}
		})
	}
}
