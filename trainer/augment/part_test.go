package augment

import (
	"math"
	"slices"
	"testing"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// largePhoto is a large JPEG of w × h pixels, and the same decoded.
func largePhoto(t *testing.T, w, h int) (encoded, whole dataset.Image) {
	t.Helper()
	data, err := photo.JPEG(photo.New(w, h, 3))
	if err != nil {
		t.Fatal(err)
	}
	encoded = dataset.Image{W: w, H: h, Encoded: &dataset.Encoded{Data: data, File: "photo.jpg"}}
	var pixels []uint8
	whole, err = encoded.Decoded(dataset.Part{W: w, H: h, Shrink: 1}, &pixels)
	if err != nil {
		t.Fatal(err)
	}
	return encoded, whole
}

// Where nothing is shrunk, views of the part of an image that they need are those of the whole image, to the last bit.
func TestViewsOfAPart(t *testing.T) {
	encoded, whole := largePhoto(t, 500, 375)
	one := Default(224, 1, true)
	one.OneBranch = true
	for name, c := range map[string]Config{"two branches": Default(224, 1, true), "one branch": one, "evaluation": Evaluation(224)} {
		t.Run(name, func(t *testing.T) {
			p := mustNew(t, c, 1)
			var pixels []uint8
			smaller := 0
			for i := range 20 {
				needs := p.Needs(500, 375, 2, i, 0, 1)
				if needs.Shrink != 1 {
					t.Fatalf("shrunk by %d, to less than twice 224 pixels", needs.Shrink)
				}
				part, err := encoded.Decoded(needs, &pixels)
				if err != nil {
					t.Fatal(err)
				}
				if len(part.Pix) < len(whole.Pix) {
					smaller++
				}
				for v := range 2 {
					if !slices.Equal(view(p, part, 2, i, v), view(p, whole, 2, i, v)) {
						t.Fatalf("view %d of image %d differs", v, i)
					}
				}
			}
			if smaller < 10 {
				t.Errorf("of 20 images %d were decoded in part", smaller)
			}
		})
	}
}

// What is shrunk has twice the resolution of a view at least, and the box stays where it is: views differ from those of
// the whole image by little, in the root of the mean square by about a level of 8 bits. Bicubic and bilinear views of
// the same image differ by 0.016.
func TestViewsOfAShrunkImage(t *testing.T) {
	encoded, whole := largePhoto(t, 1210, 907) // sides that 8 does not divide
	for name, c := range map[string]Config{
		"96 pixels":   plainCrop(96),
		"33 pixels":   plainCrop(33),
		"by bilinear": bilinear(plainCrop(64)),
		"of one crop": {Size: 64, OneBranch: true, Crop: plainCrop(64).Crop, CenterFraction: 1},
		"evaluation":  Evaluation(96),
	} {
		t.Run(name, func(t *testing.T) {
			p := mustNew(t, c, 1)
			var pixels []uint8
			shrunk, most, sum, n := 0, 0., 0., 0.
			for i := range 40 {
				part, err := encoded.Decoded(p.Needs(1210, 907, 0, i, 0, 1), &pixels)
				if err != nil {
					t.Fatal(err)
				}
				if part.Part.Shrink > 1 {
					shrunk++
				}
				for v := range 2 {
					got, want := view(p, part, 0, i, v), view(p, whole, 0, i, v)
					for k := range got {
						d := math.Abs(float64(got[k] - want[k]))
						most, sum, n = max(most, d), sum+d*d, n+1
					}
				}
			}
			if rms := math.Sqrt(sum / n); shrunk < 25 || rms > 0.006 || most > 0.15 {
				t.Errorf("%d of 40 are shrunk; they differ by %g, at most %g", shrunk, rms, most)
			}
		})
	}
}

// plainCrop without colours.
func plainCrop(size int) Config { return Default(size, 1, false).CropAndFlip() }

// How much a crop may be shrunk: not below twice the view's size in either direction.
func TestShrink(t *testing.T) {
	for name, tc := range map[string]struct {
		b    box
		want int
	}{
		"as large":           {box{0, 0, 32, 32}, 1},
		"almost four times":  {box{0, 0, 128, 127}, 1},
		"four times":         {box{5, 5, 128, 129}, 2},
		"almost eight times": {box{5, 5, 255, 1000}, 2},
		"eight times":        {box{5, 5, 256, 1000}, 4},
		"more":               {box{5, 5, 4000, 4000}, 8},
		"smaller":            {box{0, 0, 3, 3}, 1},
	} {
		if got := tc.b.shrink(32); got != tc.want {
			t.Errorf("%s: by %d, want %d", name, got, tc.want)
		}
	}
}
