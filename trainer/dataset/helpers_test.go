package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// picture of one colour, w × h.
func picture(w, h int, c color.Color) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		m.Set(i%w, i/w, c)
	}
	return m
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func jpegOf(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 100}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bomb is a PNG whose header promises w × h pixels and that has none.
func bomb(w, h uint32) []byte {
	chunk := append([]byte("IHDR"), make([]byte, 13)...)
	binary.BigEndian.PutUint32(chunk[4:], w)
	binary.BigEndian.PutUint32(chunk[8:], h)
	chunk[12], chunk[13] = 8, 2 // RGB
	out := append([]byte{}, pngMagic...)
	out = binary.BigEndian.AppendUint32(out, 13)
	out = append(out, chunk...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(chunk))
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarball(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(files[name])), Mode: 0o644})
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(t, b.Bytes())
}

// idxOf the dimensions and data.
func idxOf(data []byte, dims ...uint32) []byte {
	out := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		out = binary.BigEndian.AppendUint32(out, d)
	}
	return append(out, data...)
}

// records of CIFAR: image i has all red i, green 100, blue 200.
func records(labels ...byte) []byte {
	var out []byte
	for i, l := range labels {
		out = append(out, l)
		for _, v := range []byte{byte(i), 100, 200} {
			out = append(out, bytes.Repeat([]byte{v}, cifarPlane)...)
		}
	}
	return out
}

func open(t *testing.T, dir string, format v1alpha1.DatasetFormat, limit int32, o Options) (*Set, error) {
	t.Helper()
	spec := v1alpha1.DatasetSpec{URI: "file://" + dir, Format: format, Labels: v1alpha1.LabelsFromFormat}
	if limit > 0 {
		spec.Limit = &limit
	}
	return Open(context.Background(), spec, o)
}

func mustOpen(t *testing.T, dir string, format v1alpha1.DatasetFormat, limit int32, o Options) *Set {
	t.Helper()
	s, err := open(t, dir, format, limit, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantUserError with all the words in its message.
func wantUserError(t *testing.T, err error, words ...string) {
	t.Helper()
	var e *contract.Error
	if !errors.As(err, &e) || e.Code != contract.ExitUserError || e.Reason == "" {
		t.Fatalf("got %v, want a user error", err)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func labelsOf(d Dataset) []int {
	var labels []int
	for i := range d.Len() {
		labels = append(labels, d.Label(i))
	}
	return labels
}
