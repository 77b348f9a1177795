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
	Image   []uint8    // 4 × 2, RGB, of Color
	Studied []struct { // of noise(9, 9)
		Operation string
		Factor    []int
		Pixels    []float64
	}
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

// Sizes of photographs against the formula once more, straight in float64.
func TestResizeFormula(t *testing.T) {
	for name, tc := range map[string]struct {
		w, h, size int
		from       box
		filter     Filter
	}{
		"photograph":         {500, 375, 224, box{0, 0, 500, 375}, Bicubic},
		"small crop":         {500, 375, 224, box{300, 120, 151, 127}, Bicubic},
		"one way each":       {500, 375, 224, box{17, 31, 400, 190}, Bicubic},
		"bilinear":           {500, 375, 224, box{17, 31, 400, 190}, Bilinear},
		"size 30":            {33, 61, 30, box{1, 2, 29, 59}, Bicubic},
		"few pixels":         {9, 9, 32, box{3, 4, 3, 5}, Bicubic},
		"one pixel":          {9, 9, 8, box{8, 8, 1, 1}, Bilinear},
		"shrunk by hundreds": {3000, 2000, 10, box{0, 0, 3000, 2000}, Bicubic},
	} {
		t.Run(name, func(t *testing.T) {
			img := noise(tc.w, tc.h)
			var r resampler
			r.init(tc.size, tc.filter)
			got := make([]float32, 3*tc.size*tc.size)
			r.run(got, img, tc.from, false)
			if d := largest(t, got, resized(img, tc.from, tc.size, tc.filter)); d > 2e-6 {
				t.Errorf("differs by %g", d)
			}
		})
	}
}

// resized in float64 by Pillow's formula: rows, then columns, then clipped.
func resized(img dataset.Image, from box, size int, f Filter) []float64 {
	across, down := weights(from.w, size, f), weights(from.h, size, f)
	out := make([]float64, 3*size*size)
	rows := make([]float64, from.h)
	for c := range 3 {
		for x := range size {
			for y := range rows {
				rows[y] = 0
				for k, w := range across[x] {
					rows[y] += w * float64(img.Pix[3*((from.y+y)*img.W+from.x+k)+c]) / 255
				}
			}
			for y := range size {
				sum := 0.
				for k, w := range down[y] {
					sum += w * rows[k]
				}
				out[(c*size+y)*size+x] = math.Max(0, math.Min(1, sum))
			}
		}
	}
	return out
}

// weights of source pixels for each destination pixel (Pillow's precompute_coeffs).
func weights(in, out int, f Filter) []map[int]float64 {
	all := make([]map[int]float64, out)
	scale := float64(in) / float64(out)
	stretch := math.Max(scale, 1)
	kernel, support := keys, 2*stretch
	if f == Bilinear {
		kernel, support = func(x float64) float64 { return math.Max(0, 1-math.Abs(x)) }, stretch
	}
	for i := range all {
		center, sum := (float64(i)+0.5)*scale, 0.
		all[i] = map[int]float64{}
		for k := max(0, int(center-support+0.5)); k < min(in, int(center+support+0.5)); k++ {
			all[i][k] = kernel((float64(k) - center + 0.5) / stretch)
			sum += all[i][k]
		}
		for k := range all[i] {
			all[i][k] /= sum
		}
	}
	return all
}

// keys is the cubic convolution kernel with a = −1/2 (Keys 1981, equation 15).
func keys(s float64) float64 {
	switch s = math.Abs(s); {
	case s < 1:
		return 1.5*s*s*s - 2.5*s*s + 1
	case s < 2:
		return -0.5*s*s*s + 2.5*s*s - 4*s + 2
	}
	return 0
}

func mirrored(planes []float32, width int) []float32 {
	out := make([]float32, len(planes))
	for i := range planes {
		out[i-i%width+width-1-i%width] = planes[i]
	}
	return out
}

// operations on colours by their names: each a step, of the factor that torchvision's adjust_* has.
var operations = map[string]func(s *steps, factor float64){
	"brightness": (*steps).brightness, "contrast": (*steps).contrast, "saturation": (*steps).saturation, "hue": (*steps).hue,
	"grey": func(s *steps, _ float64) { s.grey() },
}

func TestColorIsTorchvisions(t *testing.T) {
	ref := readReference(t)
	for _, tc := range ref.Color {
		t.Run(fmt.Sprint(tc.Operation, tc.Factor), func(t *testing.T) {
			got := planes(dataset.Image{W: 4, H: 2, Pix: ref.Image})
			var s steps
			operations[tc.Operation](&s, tc.Factor)
			s.run(got)
			tolerance := 2e-4 // torchvision's first weight of grey is 0.2989 for tensors
			if tc.Operation == "brightness" || tc.Operation == "hue" {
				tolerance = 1e-6 // has no grey
			}
			if d := largest(t, got, tc.Pixels); d > tolerance {
				t.Errorf("differs by %g:\n%v\n%v", d, got, tc.Pixels)
			}
		})
	}
}

// planes of an image (3,H,W), in [0,1].
func planes(img dataset.Image) []float32 {
	n := img.W * img.H
	all := make([]float32, 3*n)
	for i, v := range img.Pix {
		all[i%3*n+i/3] = float32(v) / 255
	}
	return all
}

// formula of an operation in float64, on the whole image.
func formula(operation string, factor float64, image [][3]float64) {
	clipped := func(v float64) float64 { return math.Max(0, math.Min(1, v)) }
	luma := func(p [3]float64) float64 { return 0.299*p[0] + 0.587*p[1] + 0.114*p[2] }
	mean := 0.
	for _, p := range image {
		mean += luma(p) / float64(len(image))
	}
	for i, p := range image {
		grey, turned := luma(p), turned(p, factor)
		for c, v := range p {
			image[i][c] = map[string]float64{
				"brightness": clipped(factor * v),
				"contrast":   clipped(factor*v + (1-factor)*mean),
				"saturation": clipped(factor*v + (1-factor)*grey),
				"hue":        turned[c],
				"grey":       grey,
			}[operation]
		}
	}
}

// Every order of the operations against the formulas once more, straight in float64: the kernel does several in one
// pass, and computes the mean for contrast in between. The images are of whole pieces of the kernel, and not.
func TestColorFormulas(t *testing.T) {
	for name, list := range map[string][]string{
		"brightness":        {"brightness"},
		"contrast":          {"contrast"},
		"saturation":        {"saturation"},
		"hue":               {"hue"},
		"contrast first":    {"contrast", "hue", "brightness", "saturation", "grey"},
		"contrast last":     {"saturation", "brightness", "hue", "contrast"},
		"contrast between":  {"hue", "saturation", "contrast", "brightness", "grey"},
		"contrast twice":    {"contrast", "contrast", "brightness"},
		"contrast and grey": {"contrast", "grey"},
		"grey":              {"grey"},
	} {
		for _, size := range [][2]int{{64, 32}, {37, 41}, {3, 1}} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				img, factors := noise(size[0], size[1]), []float64{1.45, 0.7, 1.2, 0.35, 0}
				n := img.W * img.H
				want := make([][3]float64, n)
				for i, v := range img.Pix {
					want[i/3][i%3] = float64(v) / 255
				}
				var s steps
				for i, operation := range list {
					operations[operation](&s, factors[i])
					formula(operation, factors[i], want)
				}
				got := planes(img)
				s.run(got)
				flat := make([]float64, 3*n)
				for i := range flat {
					flat[i] = want[i%n][i/n]
				}
				if d := largest(t, got, flat); d > 4e-6 {
					t.Errorf("differs by %g", d)
				}
			})
		}
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
