package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const (
	cifarArchiveName = "cifar-10-binary.tar.gz"
	cifarSide        = 32
	cifarPlane       = cifarSide * cifarSide
	cifarRecord      = 1 + 3*cifarPlane // label, then red, green and blue planes
	cifarClasses     = 10
	maxCIFARBytes    = 1 << 30 // of all files together
)

var cifarFiles = map[Split]*regexp.Regexp{
	Train: regexp.MustCompile(`^data_batch_[0-9]+\.bin$`),
	Test:  regexp.MustCompile(`^test_batch\.bin$`),
}

// openCIFAR reads the binary version of CIFAR-10: its .bin files in dir or dir/cifar-10-batches-bin, or
// the archive cifar-10-binary.tar.gz in dir, which is never unpacked to disk.
func openCIFAR(dir string, split Split, limit int) (*Set, error) {
	data, err := cifarFromFiles(dir, split)
	if err == nil && len(data) == 0 {
		data, err = cifarFromFiles(filepath.Join(dir, "cifar-10-batches-bin"), split)
	}
	if err == nil && len(data) == 0 {
		data, err = cifarFromArchive(filepath.Join(dir, cifarArchiveName), split)
	}
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, contract.UserErrorf("InvalidFile", "%s has no CIFAR-10 %s files (%s) and no %s; put them there, or correct format or uri", dir, split, cifarFiles[split], cifarArchiveName)
	}
	n := len(data) / cifarRecord
	all := make([]int, n)
	for i := range all {
		if all[i] = int(data[i*cifarRecord]); all[i] >= cifarClasses {
			return nil, contract.UserErrorf("InvalidFile", "CIFAR-10 %s image %d in %s has the label %d, wanted 0 to 9; use the binary version of CIFAR-10", split, i, dir, all[i])
		}
	}
	keep, err := firstOfEach(all, cifarClasses, limit)
	if err != nil {
		return nil, err
	}
	s := &Set{total: n, classes: knownDatasets["cifar-10"].classes}
	s.images, s.labels = make([]Image, len(keep)), make([]int, len(keep))
	for i, k := range keep {
		s.images[i] = Image{W: cifarSide, H: cifarSide, Pix: interleave(data[k*cifarRecord+1 : (k+1)*cifarRecord])}
		s.labels[i] = all[k]
	}
	return s, nil
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

// cifarFromFiles joins a split's files in the order of their names; empty where there are none.
func cifarFromFiles(dir string, split Split) ([]byte, error) {
	entries, err := os.ReadDir(dir) // sorted
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, contract.UserErrorf("DatasetNotReadable", "%w; make it readable for uid 65532", err)
	}
	var data []byte
	for _, e := range entries {
		if !cifarFiles[split].MatchString(e.Name()) {
			continue
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, contract.UserErrorf("DatasetNotReadable", "%w; make it readable for uid 65532", err)
		}
		data, err = appendRecords(data, f)
		f.Close()
		if err != nil {
			return nil, contract.UserErrorf("InvalidFile", "%s: %w; get the file again", f.Name(), err)
		}
	}
	return data, nil
}

// cifarFromArchive reads a split's files out of the archive; empty where there is no archive.
func cifarFromArchive(archive string, split Split) ([]byte, error) {
	f, err := os.Open(archive)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, contract.UserErrorf("DatasetNotReadable", "%w; make it readable for uid 65532", err)
	}
	defer f.Close()
	files, err := readArchive(f, cifarFiles[split])
	if err != nil {
		return nil, contract.UserErrorf("InvalidFile", "%s: %w; get the archive again", archive, err)
	}
	var data []byte
	for _, name := range sortedKeys(files) {
		if data, err = appendRecords(data, bytes.NewReader(files[name])); err != nil {
			return nil, contract.UserErrorf("InvalidFile", "%s in %s: %w; get the archive again", name, archive, err)
		}
	}
	return data, nil
}

// readArchive reads the files of a .tar.gz whose base names match. An entry that leads out of the archive
// is refused: an archive that has one is not what it should be.
func readArchive(r io.Reader, match *regexp.Regexp) (map[string][]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	files, total := map[string][]byte{}, int64(0)
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
		if h.Typeflag != tar.TypeReg || !match.MatchString(path.Base(h.Name)) {
			continue
		}
		if total += h.Size; total > maxCIFARBytes {
			return nil, fmt.Errorf("more than %d bytes", maxCIFARBytes)
		}
		if files[path.Base(h.Name)], err = io.ReadAll(t); err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

func appendRecords(data []byte, r io.Reader) ([]byte, error) {
	more, err := io.ReadAll(io.LimitReader(r, maxCIFARBytes-int64(len(data))+1))
	switch {
	case err != nil:
		return nil, err
	case len(data)+len(more) > maxCIFARBytes:
		return nil, fmt.Errorf("more than %d bytes", maxCIFARBytes)
	case len(more) == 0 || len(more)%cifarRecord != 0:
		return nil, fmt.Errorf("wanted records of %d bytes, got %d bytes", cifarRecord, len(more))
	}
	return append(data, more...), nil
}
