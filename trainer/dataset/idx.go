package dataset

import (
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// maxSide of an IDX image in pixels, and maxLabels bytes of an IDX file's labels: absurd headers.
const (
	maxSide   = 4096
	maxLabels = 1 << 28
)

// openIDX reads MNIST's format: {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz. Without a
// labels file the set has no labels. The classes are those of the training labels: a test split may lack some.
func openIDX(ctx context.Context, from source, limit int, o Options) (*Set, error) {
	prefix := map[Split]string{Train: "train", Test: "t10k"}[o.Split]
	images, err := readIDX(ctx, from, prefix+"-images-idx3-ubyte", 3, o.MemoryBytes)
	if err != nil {
		return nil, err
	}
	n, h, w := images.dims[0], images.dims[1], images.dims[2]
	labels, err := readLabels(ctx, from, prefix)
	if err != nil {
		return nil, err
	}
	all, classes := noLabels(n), 0
	if labels != nil {
		if labels.dims[0] != n {
			return nil, contract.UserErrorf("InvalidFile", "%s has %d labels and %s has %d images; use files that belong together", labels.path, labels.dims[0], images.path, n)
		}
		if classes, err = idxClasses(ctx, from, labels, o.Split); err != nil {
			return nil, err
		}
		for i, b := range labels.data {
			all[i] = int(b)
		}
	}
	keep, err := firstOfEach(all, classes, limit, o.Field)
	if err != nil {
		return nil, err
	}
	s := &Set{total: n, classes: numbered(classes), labels: make([]int, len(keep))}
	for i, k := range keep {
		s.labels[i] = all[k]
	}
	s.image = func(i int) (Image, error) { // kept as it is stored: a third of RGB
		k := keep[i]
		return Image{W: w, H: h, Pix: fromGrey(images.data[k*h*w : (k+1)*h*w])}, nil
	}
	return s, nil
}

// readLabels of a split; nil where there is no file.
func readLabels(ctx context.Context, from source, prefix string) (*idx, error) {
	labels, err := readIDX(ctx, from, prefix+"-labels-idx1-ubyte", 1, maxLabels)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return labels, err
}

// idxClasses is how many classes the training split has. labels are those of the split.
func idxClasses(ctx context.Context, from source, labels *idx, split Split) (int, error) {
	most := int(slices.Max(labels.data))
	if split == Train {
		return most + 1, nil
	}
	train, err := readLabels(ctx, from, "train")
	switch {
	case err != nil:
		return 0, err
	case train == nil:
		return 0, contract.UserErrorf("NoLabels", "%s has labels and the training images beside it have none; add train-labels-idx1-ubyte", labels.path)
	}
	classes := int(slices.Max(train.data)) + 1
	if most >= classes {
		return 0, contract.UserErrorf("ClassesDiffer", "%s has the label %d and the highest of %s is %d; use files that belong together", labels.path, most, train.path, classes-1)
	}
	return classes, nil
}

// idx is an array of bytes.
type idx struct {
	path string
	dims []int
	data []byte
}

// readIDX reads an array of unsigned bytes with the given number of dimensions, of at most so many bytes,
// from the file of that name, or of that name with .gz.
func readIDX(ctx context.Context, from source, name string, dimensions int, most int64) (*idx, error) {
	f, _, err := from.open(ctx, name, 0)
	var r io.Reader = f
	if errors.Is(err, fs.ErrNotExist) {
		name += ".gz"
		if f, _, err = from.open(ctx, name, 0); err == nil {
			defer f.Close()
			r, err = gzip.NewReader(f)
		}
	} else if err == nil {
		defer f.Close()
	}
	if err != nil {
		return nil, invalid(from.path(name)+", or the same without .gz", err, "put the IDX file there, or correct format or uri")
	}
	a, err := parseIDX(r, dimensions, most)
	if err != nil {
		return nil, invalid(from.path(name), err, "get the file again")
	}
	a.path = from.path(name)
	return a, nil
}

func parseIDX(r io.Reader, dimensions int, most int64) (*idx, error) {
	header := make([]byte, 4+4*dimensions)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, fmt.Errorf("wanted a header of %d bytes: %w", len(header), err)
	}
	if want := uint32(0x0800 + dimensions); binary.BigEndian.Uint32(header) != want { // 8: unsigned bytes
		return nil, fmt.Errorf("wanted an IDX file that begins with %08x, got %x", want, header[:4])
	}
	a, size := &idx{}, int64(1)
	for d := range dimensions {
		n := int64(binary.BigEndian.Uint32(header[4+4*d:]))
		if n == 0 || (d > 0 && n > maxSide) {
			return nil, fmt.Errorf("dimension %d of %d is not between 1 and what is allowed (%d pixels a side)", d, n, maxSide)
		}
		a.dims, size = append(a.dims, int(n)), size*n // 2^32 images of 2^24 pixels at most
	}
	if size > most {
		return nil, tooLarge(size, most)
	}
	a.data = make([]byte, size) // takes memory only as it is filled: a header that promises too much costs nothing
	n, err := io.ReadFull(r, a.data)
	if err != nil {
		return nil, fmt.Errorf("wanted %d bytes of data, got %d: %w", size, n, err)
	}
	if n, err := io.CopyN(io.Discard, r, 1); n > 0 || !errors.Is(err, io.EOF) { // the end has gzip's checksum
		return nil, fmt.Errorf("wanted %d bytes of data, %w", size, cmp.Or(err, errors.New("got more")))
	}
	return a, nil
}

// tooLarge is a user error: images that are in one file are all in memory.
func tooLarge(size, most int64) error {
	return contract.UserErrorf("OutOfMemory", "the images take at least %d MiB of memory and may take %d; give the worker more (template.resources), or store them as files (format ImageFolder), which are read as they are needed", size>>20+1, most>>20)
}

// fromGrey makes RGB of one channel.
func fromGrey(grey []byte) []uint8 {
	rgb := make([]uint8, 3*len(grey))
	for i, v := range grey {
		rgb[3*i], rgb[3*i+1], rgb[3*i+2] = v, v, v
	}
	return rgb
}

func noLabels(n int) []int {
	labels := make([]int, n)
	for i := range labels {
		labels[i] = -1
	}
	return labels
}

func numbered(classes int) []string {
	var names []string
	for i := range classes {
		names = append(names, strconv.Itoa(i))
	}
	return names
}
