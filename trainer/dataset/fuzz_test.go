package dataset

import (
	"bufio"
	"bytes"
	"image"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/trainer/dataset/jpeg"
)

// A damaged or hostile image is refused, or has the pixels that its header promises.
func FuzzImage(f *testing.F) {
	data, err := photo.JPEG(photo.New(9, 7, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add(pngOf(f, image.NewNRGBA(image.Rect(0, 0, 5, 3))))
	f.Add(pngOf(f, image.NewGray16(image.Rect(0, 0, 2, 2))))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeHeader(data)
		if err != nil || c.Width*c.Height > 1<<16 { // larger ones are slow, not wrong
			return
		}
		m, err := checked(data, "file")
		if err != nil {
			return
		}
		if m.W != c.Width || m.H != c.Height || len(m.Pix) != 3*m.W*m.H {
			t.Errorf("%d × %d pixels of a header, %d × %d and %d bytes of the image", c.Width, c.Height, m.W, m.H, len(m.Pix))
		}
		if !bytes.HasPrefix(data, jpegMagic) {
			return
		}
		want := Part{X: m.W / 3, Y: m.H / 3, W: max(m.W/3, 1), H: max(m.H/3, 1), Shrink: 2}
		if got, pix, err := jpeg.DecodePart(data, want, nil); err == nil && len(pix) != 3*got.W*got.H {
			t.Errorf("%d bytes of a part of %d × %d", len(pix), got.W, got.H)
		}
	})
}

// A damaged or hostile IDX file is refused, or has as many bytes as its dimensions say.
func FuzzIDX(f *testing.F) {
	f.Add(idxOf(make([]byte, 12), 3, 2, 2))
	f.Add(idxOf(nil, 1<<31, 4096, 4096))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseIDX(bytes.NewReader(data), 3, 1<<16)
		if err == nil && len(a.data) != a.dims[0]*a.dims[1]*a.dims[2] {
			t.Errorf("%v: %d bytes", a.dims, len(a.data))
		}
	})
}

// A damaged or hostile archive of CIFAR-10, a bomb too, is refused, or has whole records within the limit.
func FuzzCIFARArchive(f *testing.F) {
	f.Add(tarball(f, map[string][]byte{"cifar-10-batches-bin/test_batch.bin": records(1, 2)}))
	f.Add(tarball(f, map[string][]byte{"../test_batch.bin": records(1)}))
	f.Add(tarball(f, map[string][]byte{"cifar-10-batches-bin/test_batch.bin": make([]byte, 1<<20)}))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := cifar{from: directory(""), split: Test, most: 1 << 16}
		files, err := c.entries(bytes.NewReader(data))
		if err != nil {
			return
		}
		sum := 0
		for _, records := range files {
			for _, r := range records {
				if sum += len(r); len(r) != 1+3*cifarPlane {
					t.Errorf("a record of %d bytes", len(r))
				}
			}
		}
		if sum > 1<<16 {
			t.Errorf("%d bytes were kept", sum)
		}
	})
}

// A damaged or hostile shard is refused, or its good images are at the places that the index says.
func FuzzShard(f *testing.F) {
	good := tarOf(f, samplesOf(f, 0, 2)...)
	f.Add(good)
	f.Add(good[:len(good)-1024])
	f.Add(tarOf(f, member{"a/b.json", []byte(`{"label": "x"}`)}, member{"a/b.JPEG", []byte("no image")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &shardReader{labels: true, sum: &atomic.Int64{}, buffer: bufio.NewReader(bytes.NewReader(data))}
		if err := r.members(t.Context()); err != nil {
			return
		}
		for _, s := range r.samples {
			if s.bad != nil {
				continue
			}
			if s.offset < 0 || s.offset+s.length > int64(len(data)) {
				t.Fatalf("an image at %d of %d bytes in a shard of %d", s.offset, s.length, len(data))
			}
			if _, err := unchecked(data[s.offset:s.offset+s.length], ""); err != nil {
				t.Error(err)
			}
		}
	})
}

// A pattern is refused, or stands for as many names as are allowed.
func FuzzBraces(f *testing.F) {
	f.Add("{train-{000000..000146},val-{0..5}}.tar")
	f.Add("{a,{b,}}{0..9}{0..9}")
	f.Add("{" + strings.Repeat("{0..99999},", 40) + "}")
	f.Fuzz(func(t *testing.T, pattern string) {
		if len(pattern) > 512 { // the API's limit
			return
		}
		if names, err := expandBraces(pattern); err == nil && (len(names) == 0 || len(names) > maxNames) {
			t.Errorf("%d names", len(names))
		}
	})
}
