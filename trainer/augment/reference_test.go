package augment

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// reference is what testdata/reference.py wrote.
type reference struct {
	Resize []struct {
		W, H, Size int
		Box        [4]int
		Filter     string
		Pixels     []float64
	}
	Color []struct {
		Operation string
		Factor    float64
		Pixels    []float64
	}
	Image []uint8 // 4 × 2, RGB, of Color
}

func readReference(t *testing.T) reference {
	t.Helper()
	data, err := os.ReadFile("testdata/reference.json")
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// largest difference of two equally long slices.
func largest(t *testing.T, got []float32, want []float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	d := 0.
	for i := range got {
		if e := math.Abs(float64(got[i]) - want[i]); !(e <= d) {
			d = e
		}
	}
	return d
}

func TestResizeIsPillows(t *testing.T) {
	for _, tc := range readReference(t).Resize {
		t.Run(fmt.Sprint(tc.Filter, tc.Box, tc.Size), func(t *testing.T) {
			filter := map[string]Filter{"Bicubic": Bicubic, "Bilinear": Bilinear}[tc.Filter]
			var r resampler
			r.init(tc.Size, filter)
			got := make([]float32, 3*tc.Size*tc.Size)
			from := box{tc.Box[0], tc.Box[1], tc.Box[2], tc.Box[3]}
			r.run(got, noise(tc.W, tc.H), from, false)
			if d := largest(t, got, tc.Pixels); d > 1e-6 {
				t.Errorf("differs by %g", d)
			}
			r.run(got, noise(tc.W, tc.H), from, true)
			if d := largest(t, mirrored(got, tc.Size), tc.Pixels); d > 1e-6 {
				t.Errorf("flipped and flipped back differs by %g", d)
			}
		})
	}
}

func mirrored(planes []float32, width int) []float32 {
	out := make([]float32, len(planes))
	for i := range planes {
		out[i-i%width+width-1-i%width] = planes[i]
	}
	return out
}

func TestColorIsTorchvisions(t *testing.T) {
	ref := readReference(t)
	operations := map[string]func(r, g, b []float32, factor float32){
		"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue,
		"grey": func(r, g, b []float32, _ float32) { grey(r, g, b) },
	}
	for _, tc := range ref.Color {
		t.Run(fmt.Sprint(tc.Operation, tc.Factor), func(t *testing.T) {
			r, g, b, all := planes(dataset.Image{W: 4, H: 2, Pix: ref.Image})
			operations[tc.Operation](r, g, b, float32(tc.Factor))
			tolerance := 2e-4 // torchvision's first weight of grey is 0.2989 for tensors
			if tc.Operation == "brightness" || tc.Operation == "hue" {
				tolerance = 1e-6 // has no grey
			}
			if d := largest(t, all, tc.Pixels); d > tolerance {
				t.Errorf("differs by %g:\n%v\n%v", d, all, tc.Pixels)
			}
		})
	}
}

func planes(img dataset.Image) (r, g, b, all []float32) {
	n := img.W * img.H
	all = make([]float32, 3*n)
	for i, v := range img.Pix {
		all[i%3*n+i/3] = float32(v) / 255
	}
	return all[:n], all[n : 2*n], all[2*n:], all
}

// The formulas once more, straight in float64, on many pixels.
func TestColorFormulas(t *testing.T) {
	clipped := func(v float64) float64 { return math.Max(0, math.Min(1, v)) }
	luma := func(p [3]float64) float64 { return 0.299*p[0] + 0.587*p[1] + 0.114*p[2] }
	img := noise(64, 16)
	n := img.W * img.H
	mean := 0.
	pixel := func(i int) (p [3]float64) {
		for c := range p {
			p[c] = float64(img.Pix[3*i+c]) / 255
		}
		return p
	}
	for i := range n {
		mean += luma(pixel(i)) / float64(n)
	}
	const f = 1.45
	for name, tc := range map[string]struct {
		got  func(r, g, b []float32, factor float32)
		want func(p [3]float64, c int) float64
	}{
		"brightness": {brightness, func(p [3]float64, c int) float64 { return clipped(f * p[c]) }},
		"contrast":   {contrast, func(p [3]float64, c int) float64 { return clipped(f*p[c] + (1-f)*mean) }},
		"saturation": {saturation, func(p [3]float64, c int) float64 { return clipped(f*p[c] + (1-f)*luma(p)) }},
		"hue":        {hue, func(p [3]float64, c int) float64 { return turned(p, f)[c] }},
	} {
		t.Run(name, func(t *testing.T) {
			r, g, b, all := planes(img)
			tc.got(r, g, b, f)
			want := make([]float64, 3*n)
			for i := range n {
				for c := range 3 {
					want[c*n+i] = tc.want(pixel(i), c)
				}
			}
			if d := largest(t, all, want); d > 2e-6 {
				t.Errorf("differs by %g", d)
			}
		})
	}
}

// turned hue by textbook HSV (Smith 1978).
func turned(p [3]float64, turns float64) [3]float64 {
	v := math.Max(p[0], math.Max(p[1], p[2]))
	c := v - math.Min(p[0], math.Min(p[1], p[2]))
	var h float64
	switch {
	case c == 0:
		return p
	case v == p[0]:
		h = (p[1] - p[2]) / c
	case v == p[1]:
		h = 2 + (p[2]-p[0])/c
	default:
		h = 4 + (p[0]-p[1])/c
	}
	h = math.Mod(h+6*turns+12, 6)
	m, x := v-c, c*(1-math.Abs(math.Mod(h, 2)-1))
	sectors := [6][3]float64{{c, x, 0}, {x, c, 0}, {0, c, x}, {0, x, c}, {x, 0, c}, {c, 0, x}}
	out := sectors[int(h)]
	for i := range out {
		out[i] += m
	}
	return out
}
