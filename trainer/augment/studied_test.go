package augment

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// Sobel's filter as PyTorch's convolution does it, cutout and rotation as torchvision's.
func TestStudiedReference(t *testing.T) {
	const size = 9
	for _, tc := range readReference(t).Studied {
		t.Run(fmt.Sprint(tc.Operation, tc.Factor), func(t *testing.T) {
			got, before := planes(noise(size, size)), make([]float32, 3*size*size)
			switch tc.Operation {
			case "sobel":
				sobel(got, before, size)
			case "cutout":
				cutout(got, size, tc.Factor[0], tc.Factor[1], tc.Factor[2])
			case "rotation":
				rotate(got, before, size, tc.Factor[0])
			}
			if d := largest(t, got, tc.Pixels); d > 1e-6 {
				t.Errorf("differs by %g", d)
			}
		})
	}
}

func TestSobelOfFewPixels(t *testing.T) {
	for _, size := range []int{1, 2} {
		got, before := planes(noise(size, size)), make([]float32, 3*size*size)
		if sobel(got, before, size); slices.Max(got) != 0 {
			t.Errorf("%d × %d pixels, which the border's reflection makes even: %v", size, size, got)
		}
	}
}

// What share of an image is covered, on average: of each axis, the mean part of a segment of length s whose centre is
// uniform in [0,n) that lies within, 1 − s/4n. And every pixel of the inside is covered as often.
func TestCutoutDistribution(t *testing.T) {
	const size, draws = 40, 20000
	rng := rand.New(rand.NewPCG(1, 2))
	c := Cutout{On: true, Size: 0.5}
	planes := make([]float32, 3*size*size)
	covered, middle, quarter := 0, 0, 0
	for range draws {
		clear(planes)
		s := c.draw(size, rng)
		cutout(planes, size, s.side, s.x, s.y)
		for _, v := range planes[:size*size] {
			if v == MidGrey {
				covered++
			}
		}
		if planes[20*size+20] == MidGrey {
			middle++
		}
		if planes[10*size+30] == MidGrey {
			quarter++
		}
		if !slices.Equal(planes[:size*size], planes[2*size*size:]) {
			t.Fatal("the channels differ")
		}
	}
	side := 20 * (1 - 20./(4*size))
	if got, want := float64(covered)/draws, side*side; math.Abs(got-want) > 5 {
		t.Errorf("%g pixels are covered, want %g", got, want)
	}
	for where, n := range map[string]int{"middle": middle, "quarter": quarter} {
		if got, want := float64(n)/draws, 0.25; math.Abs(got-want) > 5*math.Sqrt(want*(1-want)/draws) {
			t.Errorf("the %s is covered in %g of the images, want %g", where, got, want)
		}
	}
}

// Mean, variance, kurtosis of the noise are a Gaussian's, and values beside each other are independent.
func TestNoiseIsGaussian(t *testing.T) {
	const n, sigma = 300000, 0.1 // five sigmas fit between the grey and black or white
	values := slices.Repeat([]float32{0.5}, n)
	Noise{On: true, Sigma: sigma}.add(values, noiseKey{1, 2})
	var mean, variance, fourth, beside float64
	last := 0.
	for _, v := range values {
		d := (float64(v) - 0.5) / sigma
		mean += d / n
		variance += d * d / n
		fourth += d * d * d * d / n
		beside += d * last / n
		last = d
	}
	for name, tc := range map[string]struct{ got, want, deviation float64 }{
		"mean":             {mean, 0, 1},
		"variance":         {variance, 1, math.Sqrt(2)},
		"fourth moment":    {fourth, 3, math.Sqrt(96)},
		"of beside values": {beside, 0, 1},
	} {
		if tolerance := 5 * tc.deviation / math.Sqrt(n); math.Abs(tc.got-tc.want) > tolerance {
			t.Errorf("%s is %g, want %g ± %g", name, tc.got, tc.want, tolerance)
		}
	}
}

// Each of the three angles as often.
func TestRotationDistribution(t *testing.T) {
	img, count := noise(8, 8), map[float32]float64{}
	p := mustNew(t, Config{Size: 8, CenterFraction: 1, Rotation: Rotation{true, 1}}, 3)
	const n = 3000
	for i := range n {
		count[view(p, img, 0, i, 0)[0]]++ // the corner tells the angle
	}
	original := planes(img)
	if len(count) != 3 || count[original[0]] > 0 {
		t.Errorf("%d angles", len(count))
	}
	for _, c := range count {
		if math.Abs(c-n/3) > 5*math.Sqrt(n*2./9) {
			t.Errorf("an angle comes %g times of %d", c, n)
		}
	}
}

// jittered is the jitter of many views, as the names of their steps and their factors.
func jittered(c Color, n int) (orders map[string]int, low, high map[string]float32) {
	rng := rand.New(rand.NewPCG(1, 2))
	orders, low, high = map[string]int{}, map[string]float32{}, map[string]float32{}
	for range n {
		var s steps
		c.jitter(&s, rng)
		order := ""
		for _, step := range s.list[:s.count] {
			name := [...]string{"b", "c", "s", "h", "g"}[step.operation]
			order += name
			f := float32(step.factor)
			if name == "h" && f > 3 {
				f -= 6
			}
			low[name], high[name] = min(low[name], f-1), max(high[name], f-1)
		}
		orders[order]++
	}
	return orders, low, high
}

func TestJitterComponents(t *testing.T) {
	orders, low, high := jittered(Color{Brightness: 0.1, Contrast: 0.4, Saturation: 1.5, Hue: 0.2}, 20000)
	if len(orders) != 24 {
		t.Errorf("%d orders, want 24", len(orders))
	}
	for name, want := range map[string][2]float64{"b": {-0.1, 0.1}, "c": {-0.4, 0.4}, "s": {-1, 1.5}, "h": {-2.2, 0.2}} {
		if math.Abs(float64(low[name])-want[0]) > 0.01 || math.Abs(float64(high[name])-want[1]) > 0.01 {
			t.Errorf("%s changes by %g to %g, want %g to %g", name, low[name], high[name], want[0], want[1])
		}
	}
	for name, tc := range map[string]struct {
		color Color
		want  map[string]int
	}{
		"fixed order":     {Color{Brightness: 0.1, Contrast: 0.4, Saturation: 1, Hue: 0.2, FixedOrder: true}, map[string]int{"bcsh": 100}},
		"only saturation": {Color{Saturation: 1}, map[string]int{"s": 100}},
		"none":            {Color{}, map[string]int{"": 100}},
	} {
		got, _, _ := jittered(tc.color, 100)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// On one branch, the views share a random crop of the image; the first is transformed, the second is the crop.
func TestOneBranch(t *testing.T) {
	img := noise(60, 50)
	c := Config{Size: 20, OneBranch: true, Crop: Default(20, 1, false).Crop, CenterFraction: 1}
	c.Crop.On = false
	turned := c
	turned.Rotation = Rotation{true, 1}
	cropped := c
	cropped.Crop.On = true
	for i := range 20 {
		p := mustNew(t, c, 3)
		crop := view(p, img, 0, i, 1)
		if !slices.Equal(crop, view(p, img, 0, i, 0)) {
			t.Fatal("nothing is on, and the views differ")
		}
		if slices.Equal(crop, view(p, img, 1, i, 1)) || slices.Equal(crop, view(p, img, 0, i+1, 1)) || slices.Equal(crop, view(mustNew(t, c, 4), img, 0, i, 1)) {
			t.Error("another epoch, image or seed has the same crop")
		}
		q := mustNew(t, turned, 3)
		back, before := view(q, img, 0, i, 0), make([]float32, len(crop))
		if !slices.ContainsFunc([]int{1, 2, 3}, func(k int) bool {
			again := slices.Clone(back)
			rotate(again, before, 20, k)
			return slices.Equal(again, crop)
		}) {
			t.Error("the first view is not the crop, turned")
		}
		if !slices.Equal(crop, view(q, img, 0, i, 1)) {
			t.Error("the second view is transformed")
		}
		if r := mustNew(t, cropped, 3); !slices.Equal(crop, view(r, img, 0, i, 1)) || slices.Equal(crop, view(r, img, 0, i, 0)) {
			t.Error("the crop of the first view is not a crop of the shared one")
		}
	}
}

// The shared crop is what the crop alone makes of the image, to the rounding to 8 bits.
func TestSharedCrop(t *testing.T) {
	img := noise(60, 50)
	c := Config{Size: 20, OneBranch: true, Crop: Default(20, 1, false).Crop, CenterFraction: 1}
	p := mustNew(t, c, 3)
	got := view(p, img, 0, 5, 1)
	p.pcg.Seed(dataset.Hash(forCrops, 3, 0, 5))
	want := resized(img, c.Crop.box(img.W, img.H, p.rng), 20, Bicubic)
	if d := largest(t, got, want); d > 0.5/255+1e-6 {
		t.Errorf("differs by %g", d)
	}
}
