package dataset

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const (
	cifarArchiveName = "cifar-10-binary.tar.gz"
	cifarSide        = 32
	cifarPlane       = cifarSide * cifarSide
	cifarRecord      = 1 + 3*cifarPlane // label, then red, green and blue planes
	cifarClasses     = 10
	maxCIFARBytes    = 1 << 30 // that follow the archive's last entry
)

var cifarFiles = map[Split]*regexp.Regexp{
	Train: regexp.MustCompile(`^data_batch_[0-9]+\.bin$`),
	Test:  regexp.MustCompile(`^test_batch\.bin$`),
}

// cifarNames are the files as they are published, by which they are asked for where they can not be listed.
var cifarNames = map[Split][]string{
	Train: {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
	Test:  {"test_batch.bin"},
}

// openCIFAR reads the binary version of CIFAR-10: its .bin files in dir or dir/cifar-10-batches-bin, or
// the archive cifar-10-binary.tar.gz in dir, which is never unpacked to disk.
func openCIFAR(ctx context.Context, from source, limit int, o Options) (*Set, error) {
	c := cifar{from: from, split: o.Split, most: o.MemoryBytes}
	err := c.readFiles(ctx, "")
	if err == nil && len(c.records) == 0 {
		err = c.readFiles(ctx, "cifar-10-batches-bin")
	}
	if err == nil && len(c.records) == 0 {
		err = c.readArchive(ctx, cifarArchiveName)
	}
	if err != nil {
		return nil, err
	}
	n := len(c.records)
	if n == 0 {
		return nil, contract.UserErrorf("InvalidFile", "%s has no CIFAR-10 %s files (%s) and no %s; put them there, or correct format or uri", from.path(""), o.Split, cifarFiles[o.Split], cifarArchiveName)
	}
	all := make([]int, n)
	for i, record := range c.records {
		if all[i] = int(record[0]); all[i] >= cifarClasses {
			return nil, contract.UserErrorf("InvalidFile", "CIFAR-10 %s image %d in %s has the label %d, wanted 0 to 9; use the binary version of CIFAR-10", o.Split, i, from.path(""), all[i])
		}
	}
	keep, err := firstOfEach(all, cifarClasses, limit, o.Field)
	if err != nil {
		return nil, err
	}
	s := &Set{total: n, classes: knownDatasets["cifar-10"].classes, labels: make([]int, len(keep))}
	for i, k := range keep {
		s.labels[i] = all[k]
	}
	s.image = func(i int) (Image, error) {
		return Image{W: cifarSide, H: cifarSide, Pix: interleave(c.records[keep[i]][1:])}, nil
	}
	return s, nil
}

// cifar is the records of a split, as they are stored.
type cifar struct {
	from    source
	split   Split
	records [][]byte
	bytes   int64 // of records; most is the limit
	most    int64
}

// interleave three planes.
func interleave(planes []byte) []uint8 {
	rgb := make([]uint8, len(planes))
	n := len(planes) / 3
	for i := range n {
		rgb[3*i], rgb[3*i+1], rgb[3*i+2] = planes[i], planes[n+i], planes[2*n+i]
	}
	return rgb
}

// readFiles in the order of their names; there may be none.
func (c *cifar) readFiles(ctx context.Context, folder string) error {
	entries, err := c.from.list(ctx, folder) // sorted
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return c.readKnown(ctx, folder)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return missing(err)
	}
	for _, e := range entries {
		if !cifarFiles[c.split].MatchString(e.Name()) {
			continue
		}
		name := path.Join(folder, e.Name())
		if err := c.readFile(ctx, name); err != nil {
			return invalid(c.from.path(name), err, "get the file again")
		}
	}
	return nil
}

// readKnown reads the files by their names where they can not be listed: there may be none, but not only some.
func (c *cifar) readKnown(ctx context.Context, folder string) error {
	for i, name := range cifarNames[c.split] {
		name = path.Join(folder, name)
		err := c.readFile(ctx, name)
		if i == 0 && absent(err) {
			return nil
		}
		if err != nil {
			return invalid(c.from.path(name), err, "get the file again")
		}
	}
	return nil
}

func (c *cifar) readFile(ctx context.Context, name string) error {
	f, size, err := c.from.open(ctx, name, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := c.read(f, size)
	c.records = append(c.records, data...)
	return err
}

// readArchive reads the split's files out of the archive; there may be no archive.
func (c *cifar) readArchive(ctx context.Context, archive string) error {
	const fix = "get the archive again"
	f, _, err := c.from.open(ctx, archive, 0)
	if absent(err) {
		return nil
	}
	if err != nil {
		return invalid(c.from.path(archive), err, fix)
	}
	defer f.Close()
	files, err := c.entries(f)
	if err != nil {
		return invalid(c.from.path(archive), err, fix)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c.records = append(c.records, files[name]...)
	}
	return nil
}

// entries are the records of the archive's files. An entry that leads out of the archive is refused: an
// archive that has one is not what it should be.
func (c *cifar) entries(r io.Reader) (map[string][][]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	files := map[string][][]byte{}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			// The rest of the stream has the checksum that shows a truncated file.
			_, err = io.Copy(io.Discard, io.LimitReader(z, maxCIFARBytes))
			return files, err
		}
		if err != nil {
			return nil, err
		}
		if !filepath.IsLocal(h.Name) || strings.Contains(h.Name, `\`) {
			return nil, fmt.Errorf("the entry %q leads out of the archive", h.Name)
		}
		if h.Typeflag != tar.TypeReg || !cifarFiles[c.split].MatchString(path.Base(h.Name)) {
			continue
		}
		if files[path.Base(h.Name)], err = c.read(t, h.Size); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// read the records of a file of a size.
func (c *cifar) read(r io.Reader, size int64) ([][]byte, error) {
	if c.bytes += size; c.bytes > c.most {
		return nil, tooLarge(c.bytes, c.most)
	}
	if size == 0 || size%cifarRecord != 0 {
		return nil, fmt.Errorf("wanted records of %d bytes, got %d bytes", cifarRecord, size)
	}
	data := make([]byte, size)
	if n, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("wanted %d bytes, got %d: %w", size, n, err)
	}
	return slices.Collect(slices.Chunk(data, cifarRecord)), nil
}
