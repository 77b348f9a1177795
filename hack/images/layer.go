package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// A file is one entry of a layer: bytes, a copy of a file of this machine, or a directory when it has neither.
type file struct {
	content []byte
	from    string
	mode    fs.FileMode
}

// files are a layer's, by absolute path. Directories above them are made as needed.
type files map[string]file

// A sizedLayer knows how large it is unpacked: another would have to be unpacked to tell.
type sizedLayer struct {
	v1.Layer
	unpacked int64 // bytes
}

// layer writes the files in the order of their paths, all of root's and of the epoch's time. It is compressed once, in memory.
func (f files) layer() (v1.Layer, error) {
	var b bytes.Buffer
	if err := f.archive(&b); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	}, tarball.WithCompressedCaching)
	return sizedLayer{l, int64(b.Len())}, err
}

// storedLayer is a layer that is too large for memory: a compressed file, which must stay while the layer is used.
func (f files) storedLayer(name string) (v1.Layer, error) {
	out, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	var unpacked count
	if err := errors.Join(f.archive(io.MultiWriter(z, &unpacked)), z.Close(), out.Close()); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromFile(name)
	return sizedLayer{l, int64(unpacked)}, err
}

// count of the bytes that are written to it.
type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}

// archive writes the files as a tar archive.
func (f files) archive(to io.Writer) error {
	all := f.withParents()
	w := tar.NewWriter(to)
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if err := all[p].write(w, p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return w.Close()
}

func (f files) withParents() files {
	all := maps.Clone(f)
	for p := range f {
		for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
			if _, ok := all[dir]; !ok {
				all[dir] = file{mode: fs.ModeDir | 0o755}
			}
		}
	}
	return all
}

func (f file) write(w *tar.Writer, p string) error {
	h := &tar.Header{
		Name:    strings.TrimPrefix(p, "/"),
		Mode:    int64(f.mode.Perm()),
		ModTime: time.Unix(0, 0),
		Format:  tar.FormatPAX,
	}
	if f.mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	if f.mode.IsDir() {
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return w.WriteHeader(h)
	}
	if f.from != "" {
		return copyFile(w, h, f.from)
	}
	h.Typeflag, h.Size = tar.TypeReg, int64(len(f.content))
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(f.content)
	return err
}

func copyFile(w *tar.Writer, h *tar.Header, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return err
}
