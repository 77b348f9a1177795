package stage

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// named is how many skipped files a warning names.
const named = 3

// sets are all splits that a run uses, each once.
func (d *data) sets() []*dataset.Set {
	all := []*dataset.Set{d.train}
	if d.evalTrain != nil {
		if d.evalTrain != d.train {
			all = append(all, d.evalTrain)
		}
		all = append(all, d.evalTest)
	}
	return all
}

// skipped is how many image files could not be used.
func (d *data) skipped() int64 {
	n := 0
	for _, s := range d.sets() {
		n += len(s.Skipped())
	}
	return int64(n)
}

// warnings of the image files that could not be used, one of each split that has any.
func (d *data) warnings() []string {
	var all []string
	for _, s := range d.sets() {
		if skipped := s.Skipped(); len(skipped) > 0 {
			all = append(all, skipWarning(skipped, s.Len()))
		}
	}
	return all
}

// skipWarning names the first files, with why and what to do.
func skipWarning(skipped []dataset.Skipped, used int) string {
	var names []string
	for _, f := range skipped[:min(named, len(skipped))] {
		names = append(names, fmt.Sprintf("%s (%s)", withinDataset(f.File), f.Reason))
	}
	if more := len(skipped) - named; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	what := "files are bad and are skipped"
	if len(skipped) == 1 {
		what = "file is bad and is skipped"
	}
	return fmt.Sprintf("%d image %s, %d are used; repair or remove: %s", len(skipped), what, used, strings.Join(names, ", "))
}

// withinDataset is the last three parts of a path: split, class and file.
func withinDataset(path string) string {
	parts := strings.Split(filepath.ToSlash(path), "/")
	return strings.Join(parts[max(0, len(parts)-3):], "/")
}
