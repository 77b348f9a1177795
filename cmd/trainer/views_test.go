package main

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// imageFile is a PNG of 12 × 8 pixels: red on the left, blue on the right.
func imageFile(t *testing.T) string {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 12, 8))
	for i := range 12 * 8 {
		c := color.NRGBA{200, 0, 0, 255}
		if i%12 >= 6 {
			c = color.NRGBA{0, 0, 100, 255}
		}
		m.SetNRGBA(i%12, i/12, c)
	}
	var raw strings.Builder
	if err := png.Encode(&raw, m); err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(t.TempDir(), "image.png"), raw.String())
}

func openPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// plainViews have no randomness but the flip, which always happens.
const plainViews = `
  augmentations:
    randomResizedCrop: {mode: Disabled}
    horizontalFlip: {probability: "1"}
    colorDistortion: {mode: Disabled}
`

// The picture has the image on the left, and beside it its views: here the central square, mirrored.
func TestViews(t *testing.T) {
	out := filepath.Join(t.TempDir(), "views.png")
	trainer(t, "views", "-f", runFile(t, plainViews), "--image", imageFile(t), "--count", "10", "-o", out).wants(t, 0, "10 pairs of its views of 8 × 8 pixels")
	m := openPNG(t, out)
	// Views of 8 pixels are shown 16 times as large; ten pairs are in two rows, the image as high as one.
	const tile, gap = 8*16 + 4, 4
	original := 2*tile - gap
	if want := image.Rect(0, 0, 3*gap+original+8*tile, 2*(2*tile+2*gap)-gap); m.Bounds() != want {
		t.Fatalf("the picture has %v, want %v", m.Bounds(), want)
	}
	red, blue, white := color.RGBA{200, 0, 0, 255}, color.RGBA{0, 0, 100, 255}, color.RGBA{255, 255, 255, 255}
	for name, tc := range map[string]struct {
		x, y int
		want color.Color
	}{
		"above the image":           {gap + original/2, gap + 4, white},
		"left of the image":         {gap + 20, gap + original/2, red},
		"right of the image":        {gap + original - 20, gap + original/2, blue},
		"first view, left":          {3*gap + original + 8, gap + 64, blue},
		"first view, right":         {3*gap + original + 120, gap + 64, red},
		"second view":               {3*gap + original + 8, gap + tile + 64, blue},
		"tenth pair, in its row":    {3*gap + original + tile + 8, gap + 2*tile + 2*gap + 64, blue},
		"where the eleventh is not": {3*gap + original + 2*tile + 8, gap + 2*tile + 2*gap + 64, white},
	} {
		if got := m.At(tc.x, tc.y); got != tc.want {
			t.Errorf("%s (%d, %d) is %v, want %v", name, tc.x, tc.y, got, tc.want)
		}
	}
}

// The seed is the run's, or the one that is named.
func TestViewsSeed(t *testing.T) {
	dir, img := t.TempDir(), imageFile(t)
	draw := func(name, more string, args ...string) string {
		out := filepath.Join(dir, name)
		trainer(t, append([]string{"views", "-f", runFile(t, more), "--image", img, "-o", out}, args...)...).wants(t, 0)
		return read(t, out)
	}
	first, again := draw("a.png", ""), draw("b.png", "", "--seed", "0")
	if first != again {
		t.Error("the same run has another picture")
	}
	seeded := draw("c.png", "  pretraining: {seed: 7}\n")
	if seeded == first || seeded != draw("d.png", "", "--seed", "7") {
		t.Error("the run's seed is not used")
	}
}

func TestViewsErrors(t *testing.T) {
	run, img, out := runFile(t, ""), imageFile(t), filepath.Join(t.TempDir(), "views.png")
	text := write(t, filepath.Join(t.TempDir(), "text.jpg"), "hello")
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no run":       {[]string{"--image", img, "-o", out}, "name the run's file with -f"},
		"no image":     {[]string{"-f", run, "-o", out}, "name the image with --image"},
		"no picture":   {[]string{"-f", run, "--image", img}, "name the picture's file with --output"},
		"no views":     {[]string{"-f", run, "--image", img, "-o", out, "--count", "0"}, "--count 0; set it from 1 to 1000"},
		"seed":         {[]string{"-f", run, "--image", img, "-o", out, "--seed", "-1"}, "--seed -1; set it to at least 0"},
		"lost image":   {[]string{"-f", run, "--image", img + "x", "-o", out}, "no such file"},
		"no picture's": {[]string{"-f", run, "--image", text, "-o", out}, "neither JPEG nor PNG; name a JPEG or PNG file"},
		"no directory": {[]string{"-f", run, "--image", img, "-o", filepath.Join(out, "x.png")}, "--output: open"},
	} {
		t.Run(name, func(t *testing.T) {
			trainer(t, append([]string{"views"}, tc.args...)...).wants(t, 10, tc.want)
		})
	}
}
