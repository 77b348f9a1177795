// Package dataset is the trainer's images: where they come from (known datasets over HTTP, a directory, a bucket, a web
// server), how they are stored (IDX, CIFAR binary, ImageFolder, WebDataset, a flat folder), which of their labels are used, and
// in which order they are trained on.
//
// Images are what Pillow's convert("RGB") makes of them: grey becomes three equal channels, transparency is dropped
// and the colour under it stays, no colour profile is applied, and an EXIF orientation is ignored. One thing differs:
// of 16-bit grey the high byte is taken, as of 16-bit colour, where Pillow makes nearly all of it white. Large JPEG files
// are decoded as they are looked at, in part or shrunk.
package dataset

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Image is 8 bits a channel, RGB, row by row (height, width, 3). It is shared: never write to Pix.
type Image struct {
	W, H int // of the whole image, in pixels
	// Pix is of Part of the image. The zero value: of all of it.
	Pix  []uint8
	Part Part
	// Encoded is set instead of Pix where the image is a large JPEG: see Decoded.
	Encoded *Encoded
}

// Dataset gives images by index. It is safe for use by several goroutines.
type Dataset interface {
	Len() int
	// Image i, decoded unless it is a large JPEG.
	Image(i int) (Image, error)
	// Label of image i, an index into Classes, or -1 without labels.
	Label(i int) int
	// Classes are the names of the labels, empty without labels.
	Classes() []string
}

// Skipped is a file that could not be used.
type Skipped struct {
	File, Reason string
}

// Set is an opened split of a dataset.
type Set struct {
	image   func(i int) (Image, error)
	from    source   // of the files
	files   []string // nil for formats whose images have no names
	keyed   bool     // files are keys, without the ending of an image
	labels  []int
	classes []string

	skipped []Skipped
	single  func(i int) (Image, error) // reads image i by itself, where image reads what is beside it too; else nil
	runs    []run                      // of images that are stored together; nil: each is a file

	without []string // files that were skipped, as they would be in files
	total   int      // files looked at
}

// Len is the number of usable images.
func (s *Set) Len() int { return len(s.labels) }

// Image i, decoded unless it is a large JPEG. An error is of storage, or a user error where a file has changed since Open.
func (s *Set) Image(i int) (Image, error) { return s.image(i) }

// Label of image i, or -1.
func (s *Set) Label(i int) int { return s.labels[i] }

// Classes are the names of the labels, empty without labels.
func (s *Set) Classes() []string { return s.classes }

// Skipped are the files that were found to be bad when the set was opened: it has no image of them.
func (s *Set) Skipped() []Skipped { return s.skipped }

// ClassCounts are the images of each class, nil without labels.
func ClassCounts(d Dataset) []int {
	if len(d.Classes()) == 0 {
		return nil
	}
	counts := make([]int, len(d.Classes()))
	for i := range d.Len() {
		counts[d.Label(i)]++
	}
	return counts
}

// CheckLabels is a user error unless the dataset can be learned from with labels. field is the API's
// field of the dataset, such as spec.dataset.
func CheckLabels(d Dataset, field string) error {
	switch len(d.Classes()) {
	case 0:
		return contract.UserErrorf("NoLabels", "%s has no labels, which this stage needs; set spec.evaluation.dataset to a labelled dataset, or leave linearEvaluation, finetuning and knn out", field)
	case 1:
		return contract.UserErrorf("OneClass", "%s has one class, %q, and a classifier needs at least two; add folders of other classes, or leave linearEvaluation, finetuning and knn out", field, d.Classes()[0])
	}
	return nil
}

// CheckSplits is a user error unless two splits of one dataset have the same classes.
func CheckSplits(train, test Dataset, field string) error {
	if a, b := fmt.Sprint(train.Classes()), fmt.Sprint(test.Classes()); a != b {
		return contract.UserErrorf("ClassesDiffer", "%s: the training split has the classes %s and the test split %s; make them the same", field, a, b)
	}
	return nil
}

// Subset is the images of d at the given indices, in that order.
func Subset(d Dataset, indices []int) Dataset { return subset{d, indices} }

type subset struct {
	Dataset
	indices []int
}

func (s subset) Len() int { return len(s.indices) }
func (s subset) Image(i int) (Image, error) {
	if set, ok := s.Dataset.(*Set); ok && set.single != nil { // what is beside it is hardly used
		return set.single(s.indices[i])
	}
	return s.Dataset.Image(s.indices[i])
}
func (s subset) Label(i int) int { return s.Dataset.Label(s.indices[i]) }
