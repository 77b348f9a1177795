package dataset

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Limits that keep an absurd header from taking all memory.
const (
	maxSide     = 4096    // pixels of an IDX image's side
	maxIDXBytes = 2 << 30 // of an IDX file's images
)

// openIDX reads MNIST's format: {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz. Without a
// labels file the set has no labels.
func openIDX(dir string, split Split, limit int) (*Set, error) {
	prefix := map[Split]string{Train: "train", Test: "t10k"}[split]
	images, err := readIDX(filepath.Join(dir, prefix+"-images-idx3-ubyte"), 3)
	if err != nil {
		return nil, err
	}
	n, h, w := images.dims[0], images.dims[1], images.dims[2]
	labels, err := readIDX(filepath.Join(dir, prefix+"-labels-idx1-ubyte"), 1)
	switch {
	case errors.Is(err, os.ErrNotExist):
		labels = nil
	case err != nil:
		return nil, err
	case labels.dims[0] != n:
		return nil, contract.UserErrorf("InvalidFile", "%s has %d labels and %s has %d images; use files that belong together", labels.path, labels.dims[0], images.path, n)
	}
	all := noLabels(n)
	classes := 0
	if labels != nil {
		for i, b := range labels.data {
			all[i] = int(b)
			classes = max(classes, int(b)+1)
		}
	}
	keep, err := firstOfEach(all, classes, limit)
	if err != nil {
		return nil, err
	}
	s := &Set{total: n, classes: numbered(classes)}
	s.images, s.labels = make([]Image, len(keep)), make([]int, len(keep))
	for i, k := range keep {
		s.images[i] = Image{W: w, H: h, Pix: fromGrey(images.data[k*h*w : (k+1)*h*w])}
		s.labels[i] = all[k]
	}
	return s, nil
}

// idx is an array of bytes.
type idx struct {
	path string
	dims []int
	data []byte
}

// readIDX reads an array of unsigned bytes with the given number of dimensions from path or path.gz.
func readIDX(path string, dimensions int) (*idx, error) {
	f, err := os.Open(path)
	var r io.Reader = f
	if errors.Is(err, os.ErrNotExist) {
		path += ".gz"
		if f, err = os.Open(path); err == nil {
			defer f.Close()
			r, err = gzip.NewReader(f)
		}
	} else if err == nil {
		defer f.Close()
	}
	if err != nil {
		return nil, contract.UserErrorf("InvalidFile", "%s, or the same without .gz: %w; put the IDX file there, or correct format or uri", path, err)
	}
	a, err := parseIDX(r, dimensions)
	if err != nil {
		return nil, contract.UserErrorf("InvalidFile", "%s: %w; get the file again", path, err)
	}
	a.path = path
	return a, nil
}

func parseIDX(r io.Reader, dimensions int) (*idx, error) {
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
		if n == 0 || (d > 0 && n > maxSide) || size*n > maxIDXBytes {
			return nil, fmt.Errorf("dimension %d of %d is not between 1 and what is allowed (%d pixels a side, %d bytes)", d, n, maxSide, maxIDXBytes)
		}
		a.dims, size = append(a.dims, int(n)), size*n
	}
	// ReadAll grows with the data, so a header that promises too much costs nothing.
	data, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, fmt.Errorf("wanted %d bytes of data, got %d: %w", size, len(data), err)
	}
	if int64(len(data)) != size {
		return nil, fmt.Errorf("wanted %d bytes of data, got %s", size, atLeast(len(data), size))
	}
	a.data = data
	return a, nil
}

func atLeast(got int, want int64) string {
	if int64(got) > want {
		return "more"
	}
	return strconv.Itoa(got)
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
