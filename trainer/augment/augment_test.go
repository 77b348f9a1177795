package augment

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

func mustNew(t *testing.T, c Config, seed uint64) *Pipeline {
	t.Helper()
	p, err := New(c, seed)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// all operations, each always where it has a probability.
func all(size int) Config {
	c := Default(size, 1, true)
	c.Cutout, c.Sobel, c.Noise, c.Rotation = Cutout{true, 1, 0.3}, Sobel{true, 1}, Noise{true, 1, 0.1}, Rotation{true, 1}
	return c
}

func view(p *Pipeline, img dataset.Image, epoch, index, view int) []float32 {
	dst := make([]float32, 3*p.c.Size*p.c.Size)
	p.Apply(dst, img, epoch, index, view)
	return dst
}

func TestViewsAreDeterministic(t *testing.T) {
	c, img := all(40), noise(50, 44)
	p := mustNew(t, c, 7)
	want := view(p, img, 3, 5, 1)
	view(p, noise(90, 30), 0, 0, 0) // leaves traces in the scratch memory
	if diff := cmp.Diff(want, view(p, img, 3, 5, 1)); diff != "" {
		t.Errorf("the same view again: %s", diff)
	}
	for name, other := range map[string][]float32{
		"seed":  view(mustNew(t, c, 8), img, 3, 5, 1),
		"epoch": view(p, img, 4, 5, 1),
		"index": view(p, img, 3, 6, 1),
		"view":  view(p, img, 3, 5, 0),
	} {
		if slices.Equal(want, other) {
			t.Errorf("another %s gives the same view", name)
		}
	}
}

func TestViewsStayBetweenZeroAndOne(t *testing.T) {
	img := noise(33, 61)
	for i := range img.Pix[:900] { // black and white: cubic weights leave the range there
		img.Pix[i] = 255 * (img.Pix[i] >> 7)
	}
	for name, c := range map[string]Config{"strong": Default(32, 2.5, true), "all": all(32)} {
		p := mustNew(t, c, 1)
		for i := range 300 {
			for _, v := range view(p, img, 0, i, 0) {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("%s: view %d has the value %g", name, i, v)
				}
			}
		}
	}
}

// Area and log of the ratio of crops are uniform where all fit: of a large square with areas to a half.
func TestCropDistribution(t *testing.T) {
	c, rng := Default(32, 1, false).Crop, rand.New(rand.NewPCG(1, 2))
	c.MaxScale = 0.5
	const side, draws = 2000, 40000
	var area, logRatio, left, bottom float64
	for range draws {
		b := c.box(side, side, rng)
		a, r := float64(b.w*b.h)/side/side, float64(b.w)/float64(b.h)
		if a < 0.079 || a > 0.501 || r < 0.74 || r > 1.35 || b.x < 0 || b.y < 0 || b.x+b.w > side || b.y+b.h > side {
			t.Fatalf("crop %+v", b)
		}
		area += a / draws
		logRatio += math.Abs(math.Log(r)) / draws
		left += float64(b.x) / float64(side-b.w) / draws
		bottom += float64(b.y) / float64(side-b.h) / draws
	}
	// Means of uniform variables; the tolerances are 5 standard errors.
	for name, tc := range map[string]struct{ got, want, tolerance float64 }{
		"area":        {area, 0.29, 5 * 0.42 / math.Sqrt(12*draws)},
		"|log ratio|": {logRatio, math.Log(4./3) / 2, 5 * math.Log(4./3) / math.Sqrt(12*draws)},
		"x":           {left, 0.5, 5 / math.Sqrt(12*draws)},
		"y":           {bottom, 0.5, 5 / math.Sqrt(12*draws)},
	} {
		if math.Abs(tc.got-tc.want) > tc.tolerance {
			t.Errorf("mean %s is %g, want %g ± %g", name, tc.got, tc.want, tc.tolerance)
		}
	}
}

func TestCropOfExtremeImages(t *testing.T) {
	c, rng := Default(32, 1, false).Crop, rand.New(rand.NewPCG(1, 2))
	whole := c
	whole.MinScale = 1
	for name, tc := range map[string]struct {
		crop Crop
		w, h int
		want box
	}{
		"wide":      {whole, 1000, 30, box{480, 0, 40, 30}},
		"tall":      {whole, 30, 1000, box{0, 480, 30, 40}},
		"one pixel": {c, 1, 1, box{0, 0, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.crop.box(tc.w, tc.h, rng), cmp.AllowUnexported(box{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// How often each part acts, over many views.
func TestProbabilities(t *testing.T) {
	const n = 4000
	img := noise(20, 20)
	plain := Config{Size: 20, CenterFraction: 1}
	original := view(mustNew(t, plain, 0), img, 0, 0, 0)
	isGrey := func(v []float32) bool {
		k := len(v) / 3
		return slices.Equal(v[:k], v[k:2*k]) && slices.Equal(v[:k], v[2*k:])
	}
	changed := func(v []float32) bool { return !slices.Equal(v, original) }
	base := Default(20, 1, true)
	for name, tc := range map[string]struct {
		config func(c *Config)
		is     func([]float32) bool
		want   float64
	}{
		"flip":   {func(c *Config) { c.Flip = base.Flip }, changed, 0.5},
		"jitter": {func(c *Config) { c.Color = base.Color; c.Color.GrayscaleProbability = 0 }, changed, 0.8},
		"grey":   {func(c *Config) { c.Color = base.Color }, isGrey, 0.2},
		"blur":   {func(c *Config) { c.Blur = base.Blur; c.Blur.MinSigma = 1 }, changed, 0.5},
		"off":    {func(*Config) {}, changed, 0},
		"cutout": {func(c *Config) { c.Cutout = Cutout{true, 0.3, 0.5} }, changed, 0.3},
		"sobel":  {func(c *Config) { c.Sobel = Sobel{true, 0.3} }, changed, 0.3},
		"noise":  {func(c *Config) { c.Noise = Noise{true, 0.3, 0.1} }, changed, 0.3},
		"turned": {func(c *Config) { c.Rotation = Rotation{true, 0.3} }, changed, 0.3},
	} {
		t.Run(name, func(t *testing.T) {
			c := plain
			tc.config(&c)
			p, count := mustNew(t, c, 3), 0.
			for i := range n {
				if tc.is(view(p, img, 0, i, 0)) {
					count++
				}
			}
			if tolerance := 5 * math.Sqrt(tc.want*(1-tc.want)/n); math.Abs(count/n-tc.want) > tolerance {
				t.Errorf("%g of the views, want %g ± %g", count/n, tc.want, tolerance)
			}
		})
	}
}

// Against a direct convolution in two dimensions with zero padding, of a small sigma, whose kernel is cut, too.
func TestBlurIsAConvolution(t *testing.T) {
	for name, tc := range map[string]struct {
		size, kernel int
		sigma        float64
	}{
		"kernel 5":                {47, 5, 1.3},
		"kernel 3 of whole rows":  {32, 3, 0.8},
		"kernel 23":               {224, 23, 2},
		"kernel 23 of less sigma": {224, 23, 0.4},
		"larger than the image":   {10, 31, 5},
		"no blur":                 {64, 7, 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			got, radius := planes(noise(tc.size, tc.size)), tc.kernel/2
			n := tc.size * tc.size
			want, sum := make([]float64, len(got)), 0.
			weight := func(dx, dy int) float64 { return math.Exp(-float64(dx*dx+dy*dy) / (2 * tc.sigma * tc.sigma)) }
			for dy := -radius; dy <= radius; dy++ {
				for dx := -radius; dx <= radius; dx++ {
					sum += weight(dx, dy)
				}
			}
			for dy := -radius; dy <= radius; dy++ {
				for dx := -radius; dx <= radius; dx++ {
					w := weight(dx, dy) / sum
					for i := range want {
						if x, y := i%tc.size+dx, i%n/tc.size+dy; x >= 0 && x < tc.size && y >= 0 && y < tc.size {
							want[i] += w * float64(got[i/n*n+y*tc.size+x])
						}
					}
				}
			}
			var b blurrer
			b.init(tc.size, tc.kernel)
			for range 2 { // the second finds what the first left in its scratch memory
				again := slices.Clone(got)
				b.run(again, tc.sigma)
				if d := largest(t, again, want); d > 1e-6 {
					t.Errorf("differs by %g", d)
				}
			}
		})
	}
}

// Kernel sizes of google-research/simclr: kernel_size = height // 10, radius = kernel_size // 2.
func TestBlurKernel(t *testing.T) {
	for size, want := range map[int]int{19: 1, 20: 3, 32: 3, 40: 5, 96: 9, 224: 23} {
		if got := Default(size, 1, true).Blur.Kernel; got != want {
			t.Errorf("height %d: kernel %d, want %d", size, got, want)
		}
	}
}

// Views are the same on machines of any instruction set, to the last bit.
func TestInstructionSets(t *testing.T) {
	best := level
	defer func() { level = best }()
	for name, tc := range map[string]struct {
		config Config
		w, h   int
	}{
		"CIFAR":    {Default(32, 0.5, false), 32, 32},
		"ImageNet": {Default(224, 1, true), 500, 375},
		"odd":      {bilinear(Default(45, 1, true)), 71, 33},
		"all":      {all(40), 71, 33},
	} {
		t.Run(name, func(t *testing.T) {
			img := noise(tc.w, tc.h)
			for i := range 30 {
				level = 0
				want := view(mustNew(t, tc.config, 1), img, 0, i, 0)
				for level = 1; level <= best; level++ {
					if !slices.Equal(want, view(mustNew(t, tc.config, 1), img, 0, i, 0)) {
						t.Fatalf("view %d of instruction sets %d differs", i, level)
					}
				}
			}
		})
	}
}

func TestViewsAllocateNothing(t *testing.T) {
	p, img := mustNew(t, all(64), 1), noise(90, 80)
	dst := make([]float32, 3*64*64)
	i := 0
	p.Apply(dst, img, 0, 0, 0)
	p.resample.run(dst, img, box{0, 0, 90, 80}, false) // the largest crop
	if n := testing.AllocsPerRun(100, func() { p.Apply(dst, img, 0, i, 0); i++ }); n > 0 {
		t.Errorf("%g allocations a view", n)
	}
}

func TestEvaluationCrop(t *testing.T) {
	for name, tc := range map[string]struct {
		size, w, h int
		want       box
	}{
		"32 px: all of it":       {32, 32, 32, box{0, 0, 32, 32}},
		"28 px: all of it":       {28, 28, 28, box{0, 0, 28, 28}},
		"224 px: centre 0.875":   {224, 256, 256, box{16, 16, 224, 224}},
		"oblong: central square": {224, 400, 256, box{88, 16, 224, 224}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Evaluation(tc.size).box(tc.w, tc.h, nil)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(box{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	img := noise(32, 32)
	all := planes(img)
	got := view(mustNew(t, Evaluation(32), 0), img, 0, 0, 0)
	for i := range all {
		if math.Abs(float64(got[i]-all[i])) > 1e-7 {
			t.Fatalf("value %d is %g, the image has %g", i, got[i], all[i])
		}
	}
}
