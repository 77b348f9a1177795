package dataset

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/trainer/dataset/jpeg"
)

// photos is a folder with a large JPEG, a small one, and a large PNG.
func photos(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, size := range map[string][2]int{"a.jpg": {500, 375}, "b.jpg": {60, 40}} {
		data, err := photo.JPEG(photo.New(size[0], size[1], 1))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	write(t, filepath.Join(dir, "c.png"), pngOf(t, photo.New(400, 400, 1)))
	return dir
}

// corner looks at a corner of an image, shrunk, and says which pixels it was given.
type corner struct{}

func (corner) Needs(w, h, epoch, _ int, views ...int) Part {
	if !slices.Equal(views, []int{0, 1}) {
		panic("both views are made")
	}
	return Part{X: w / 2, Y: h / 2, W: w / 4, H: h / 4, Shrink: 1 + epoch} // 1 and 2
}

func (corner) Apply(dst []float32, img Image, _, _, _ int) {
	if img.Encoded != nil {
		panic("an image that is not decoded")
	}
	p := img.Covers()
	x, y := img.W/2/p.Shrink-p.X, img.H/2/p.Shrink-p.Y
	dst[0] = float32(img.Pix[3*(y*p.W+x)])
	dst[1], dst[2] = float32(p.Shrink), float32(len(img.Pix))
}

// Large JPEG files are decoded as far as they are looked at, whether all images fit into memory or not; all others are
// decoded whole.
func TestLargeImages(t *testing.T) {
	dir := photos(t)
	for name, memory := range map[string]int64{"in memory": 1 << 30, "larger than memory": 1} {
		t.Run(name, func(t *testing.T) {
			s := mustOpen(t, dir, v1alpha1.FormatImages, 0, Options{MemoryBytes: memory})
			s.labels = []int{0, 1, 2} // to see the order
			l := mustLoader(t, LoaderConfig{Data: s, Batch: 3, Size: 1, Views: 2, NewTransform: func() Transform { return corner{} }, Epochs: 2})
			for epoch, b := range read(t, l, 0, 0, 0) {
				for at, i := range b.Images {
					got := b.Pixels[3*at:][:3]
					if i > 0 { // small, or PNG
						m, _ := s.Image(i)
						if m.Encoded != nil || got[1] != 1 || int(got[2]) != 3*m.W*m.H {
							t.Errorf("image %d has %v", i, got)
						}
						continue
					}
					data, err := os.ReadFile(filepath.Join(dir, "a.jpg"))
					if err != nil {
						t.Fatal(err)
					}
					all, pix, err := jpeg.DecodePart(data, Part{W: 500, H: 375, Shrink: 1 + epoch}, nil)
					if err != nil {
						t.Fatal(err)
					}
					want := float32(pix[3*(375/2/all.Shrink*all.W+250/all.Shrink)])
					if got[0] != want || int(got[1]) != all.Shrink || int(got[2]) >= len(pix) {
						t.Errorf("epoch %d: %v, want %g, shrunk by %d, less than %d bytes", epoch, got, want, all.Shrink, len(pix))
					}
				}
			}
		})
	}
}

// What a large image takes in memory is its file's size.
func TestLargeImagesInMemory(t *testing.T) {
	dir := photos(t)
	info, err := os.Stat(filepath.Join(dir, "a.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	bytes := info.Size() + 3*60*40 + 3*400*400
	fits := mustOpen(t, dir, v1alpha1.FormatImages, 0, Options{MemoryBytes: bytes})
	large := mustOpen(t, dir, v1alpha1.FormatImages, 0, Options{MemoryBytes: bytes - 1})
	if err := os.Remove(filepath.Join(dir, "b.jpg")); err != nil {
		t.Fatal(err)
	}
	if _, err := fits.Image(1); err != nil {
		t.Errorf("an image that fits into memory is read again: %v", err)
	}
	if _, err := large.Image(1); err == nil {
		t.Error("an image that does not fit into memory is there")
	}
}

// A large image that was good when the set was opened, and is not any more: the error names it.
func TestLargeImageThatChanges(t *testing.T) {
	dir := photos(t)
	s := mustOpen(t, dir, v1alpha1.FormatImages, 0, Options{MemoryBytes: 1})
	file := filepath.Join(dir, "a.jpg")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, data[:len(data)/3])
	l := mustLoader(t, LoaderConfig{Data: s, Batch: 3, Size: 1, Views: 2, NewTransform: func() Transform { return corner{} }, Epochs: 2})
	stream := l.Start(context.Background(), 0, 0)
	defer stream.Close()
	_, err = stream.Next()
	wantUserError(t, err, "a.jpg", "Premature end of JPEG file", "do not change")
}

// A transform that does not say what it looks at is given all.
func TestNeedsOfAnyTransform(t *testing.T) {
	want := Part{W: 7, H: 5, Shrink: 1}
	if diff := cmp.Diff(want, needs(stamp{}, Image{W: 7, H: 5}, 0, 0, 0, 1)); diff != "" {
		t.Error(diff)
	}
}

func TestReadImage(t *testing.T) {
	dir := photos(t)
	m, err := ReadImage(filepath.Join(dir, "a.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	var buffer []uint8
	decoded, err := m.Decoded(Part{W: 500, H: 375, Shrink: 1}, &buffer)
	if err != nil {
		t.Fatal(err)
	}
	_, _, want, err := jpeg.Decode(m.Encoded.Data)
	if err != nil || !slices.Equal(want, decoded.Pix) {
		t.Errorf("other pixels, %v", err)
	}
	if _, err := ReadImage(filepath.Join(dir, "none.jpg")); err == nil {
		t.Error("a file that is not there is read")
	}
}
