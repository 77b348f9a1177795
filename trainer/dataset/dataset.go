// Package dataset is the trainer's images: where they come from (known datasets over HTTP, a directory),
// how they are stored (IDX, CIFAR binary, ImageFolder, a flat folder), which of their labels are used, and
// in which order they are trained on.
//
// Images are what Pillow's convert("RGB") makes of them: grey becomes three equal channels, transparency is dropped
// and the colour under it stays, no colour profile is applied, and an EXIF orientation is ignored.
package dataset

import (
	"fmt"
	"sync"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Image is decoded: 8 bits a channel, RGB, row by row (height, width, 3). It is shared: never write to Pix.
type Image struct {
	W, H int
	Pix  []uint8
}

// Dataset gives images by index. It is safe for use by several goroutines.
type Dataset interface {
	Len() int
	// Image i decoded. An error is a user error where the file is bad.
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
	images  []Image  // decoded; nil: files are decoded at each access
	files   []string // nil for formats of one file
	labels  []int
	classes []string

	mu      sync.Mutex
	skipped []Skipped
	bad     map[int]bool // images of skipped that still have an index
	total   int          // files looked at
}

// Len is the number of usable images.
func (s *Set) Len() int { return len(s.labels) }

// Label of image i, or -1.
func (s *Set) Label(i int) int { return s.labels[i] }

// Classes are the names of the labels, empty without labels.
func (s *Set) Classes() []string { return s.classes }

// Skipped files so far: those found when the set was opened and, of a set that does not fit into memory,
// those met since.
func (s *Set) Skipped() []Skipped {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Skipped(nil), s.skipped...)
}

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
	switch n := len(d.Classes()); {
	case n == 0:
		return contract.UserErrorf("NoLabels", "%s has no labels, which this stage needs; set spec.evaluation.dataset to a labelled dataset, or leave linearEvaluation, finetuning and knn out", field)
	case n == 1:
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

func (s subset) Len() int                   { return len(s.indices) }
func (s subset) Image(i int) (Image, error) { return s.Dataset.Image(s.indices[i]) }
func (s subset) Label(i int) int            { return s.Dataset.Label(s.indices[i]) }
