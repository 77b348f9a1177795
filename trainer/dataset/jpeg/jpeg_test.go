package jpeg

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	gojpeg "image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
)

// Every file's pixels are those that Pillow's convert("RGB") gives (testdata/make.py).
func TestSameAsPillow(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files, want 8; %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			w, h, got, err := Decode(read(t, file))
			if err != nil {
				t.Fatal(err)
			}
			m, err := png.Decode(bytes.NewReader(read(t, strings.TrimSuffix(file, ".jpg")+".png")))
			if err != nil {
				t.Fatal(err)
			}
			if w != m.Bounds().Dx() || h != m.Bounds().Dy() || len(got) != 3*w*h {
				t.Fatalf("%d × %d pixels of %d bytes, want %v", w, h, len(got), m.Bounds())
			}
			different := 0
			for i := range w * h {
				r, g, b, _ := m.At(i%w, i/w).RGBA()
				if !bytes.Equal(got[3*i:3*i+3], []byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}) {
					different++
				}
			}
			if different > 0 {
				t.Errorf("%d of %d pixels differ", different, w*h)
			}
			if sw, sh, err := Size(read(t, file)); sw != w || sh != h || err != nil {
				t.Errorf("Size is %d × %d, %v", sw, sh, err)
			}
		})
	}
}

// What the decoder shrinks is what Pillow's draft mode gives, of the same library.
func TestShrunkAsPillow(t *testing.T) {
	for _, name := range []string{"420", "422", "444", "420-progressive", "rgb", "grey", "cmyk"} {
		for _, shrink := range []int{2, 4, 8} {
			t.Run(fmt.Sprint(name, " by ", shrink), func(t *testing.T) {
				data := read(t, "testdata/"+name+".jpg")
				w, h, err := Size(data)
				if err != nil {
					t.Fatal(err)
				}
				p, got, err := DecodePart(data, Part{W: w, H: h, Shrink: shrink}, nil)
				if err != nil {
					t.Fatal(err)
				}
				m, err := png.Decode(bytes.NewReader(read(t, fmt.Sprintf("testdata/%s-%d.png", name, shrink))))
				if err != nil {
					t.Fatal(err)
				}
				if want := (Part{W: m.Bounds().Dx(), H: m.Bounds().Dy(), Shrink: shrink}); p != want {
					t.Fatalf("part %+v, want %+v", p, want)
				}
				for i := range p.W * p.H {
					r, g, b, _ := m.At(i%p.W, i/p.W).RGBA()
					if want := []byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}; !bytes.Equal(got[3*i:3*i+3], want) {
						t.Fatalf("pixel (%d,%d) is %v, want %v", i%p.W, i/p.W, got[3*i:3*i+3], want)
					}
				}
			})
		}
	}
}

// Every pixel of a part that was asked for is the whole image's, whatever the part and the sampling of chroma; and what
// is decoded is not much more than that.
func TestParts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	inputs := map[string][]byte{}
	for _, f := range files {
		inputs[filepath.Base(f)] = read(t, f)
	}
	if inputs["photograph"], err = photo.JPEG(photo.New(203, 151, 1)); err != nil { // of many blocks
		t.Fatal(err)
	}
	for name, data := range inputs {
		for _, shrink := range []int{1, 2, 4, 8} {
			t.Run(fmt.Sprint(name, " by ", shrink), func(t *testing.T) {
				w, h, err := Size(data)
				if err != nil {
					t.Fatal(err)
				}
				all, whole, err := DecodePart(data, Part{W: w, H: h, Shrink: shrink}, nil)
				if err != nil {
					t.Fatal(err)
				}
				var buffer []uint8
				for range 200 {
					want := Part{X: rng.IntN(w), Y: rng.IntN(h), Shrink: shrink}
					want.W, want.H = 1+rng.IntN(w-want.X), 1+rng.IntN(h-want.Y)
					got, pix, err := DecodePart(data, want, buffer)
					if err != nil {
						t.Fatal(err)
					}
					buffer = pix
					compareParts(t, want, got, all, pix, whole)
				}
			})
		}
	}
}

// compareParts compares the pixels of a part that were wanted with those of the whole image.
func compareParts(t *testing.T, want, got, all Part, pix, whole []uint8) {
	t.Helper()
	s := want.Shrink
	left, right := want.X/s, (want.X+want.W+s-1)/s
	top, bottom := want.Y/s, (want.Y+want.H+s-1)/s
	if got.X > left || got.Y > top || got.X+got.W < right || got.Y+got.H < bottom || got.Y < top || got.W > right-left+64/s {
		t.Fatalf("wanted %+v, got %+v", want, got)
	}
	for y := top; y < bottom; y++ {
		a := pix[3*((y-got.Y)*got.W+left-got.X):][:3*(right-left)]
		b := whole[3*(y*all.W+left):][:3*(right-left)]
		if !bytes.Equal(a, b) {
			t.Fatalf("wanted %+v, got %+v: row %d differs", want, got, y)
		}
	}
}

func TestBadFiles(t *testing.T) {
	good := read(t, "testdata/420.jpg")
	noise := bytes.Clone(good)
	for i := len(noise) / 2; i < len(noise)-2; i++ {
		noise[i] = 0xff
	}
	for name, data := range map[string][]byte{
		"empty":             nil,
		"text":              []byte("hello"),
		"magic only":        good[:3],
		"cut in its header": good[:100],
		"cut":               good[:len(good)-100],
		"end is missing":    good[:len(good)-2],
		"progressive, cut":  read(t, "testdata/420-progressive.jpg")[:800],
		"overwritten":       noise,
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := Decode(data); err == nil || err.Error() == "" {
				t.Errorf("got %v, want an error with a reason", err)
			} else {
				t.Log(err)
			}
		})
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// BenchmarkDecode of CIFAR-10's images as JPEG, beside Go's decoder, which is no yardstick of the pixels: it repeats
// the nearest chroma.
func BenchmarkDecode(b *testing.B) {
	files := cifar(b, 256)
	for name, decode := range map[string]func(data []byte) error{
		"turbo": func(data []byte) error { _, _, _, err := Decode(data); return err },
		"go":    func(data []byte) error { _, err := gojpeg.Decode(bytes.NewReader(data)); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := decode(files[i%len(files)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cifar is the first n images of the test data.
func cifar(b *testing.B, n int) [][]byte {
	b.Helper()
	f, err := os.Open(filepath.Join(os.Getenv("SIMCLR_TEST_DATA"), "cifar10-jpeg.tar.gz"))
	if err != nil {
		b.Fatal("set SIMCLR_TEST_DATA to the directory of cifar10-jpeg.tar.gz: ", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		b.Fatal(err)
	}
	var files [][]byte
	for r := tar.NewReader(z); len(files) < n; {
		h, err := r.Next()
		if err != nil {
			b.Fatal(err)
		}
		if strings.HasSuffix(h.Name, ".jpg") {
			data, err := io.ReadAll(r)
			if err != nil {
				b.Fatal(err)
			}
			files = append(files, data)
		}
	}
	return files
}
