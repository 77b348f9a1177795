package dataset

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// tolerated is how many bad files of n are skipped: one in a hundred, at least one. More are an error.
func tolerated(n int) int { return max(1, n/100) }

// outcome of looking at a file.
type outcome struct {
	image Image // where all images so far fit into memory
	bad   error // why the file can not be used
}

// decodeAll decodes every file and leaves the bad ones out. Where the images do not fit into memory, each is
// decoded again at each access. Which images a set has never depends on that, nor on timing: a stage that
// resumes elsewhere, with more or less memory, has the same. ctx is also that of later accesses.
func (s *Set) decodeAll(ctx context.Context, from source, o Options) error {
	results, bytes, err := lookAtAll(ctx, from, s.files, o)
	if err != nil {
		return err
	}
	s.from, s.total = from, len(s.files)
	var files []string
	var images []Image
	var labels []int
	for i, r := range results {
		if r.bad != nil {
			s.skipped = append(s.skipped, Skipped{from.path(s.files[i]), r.bad.Error()})
			s.without = append(s.without, s.files[i])
			continue
		}
		files, images, labels = append(files, s.files[i]), append(images, r.image), append(labels, s.labels[i])
	}
	if len(labels) == 0 || len(s.skipped) > tolerated(s.total) {
		return s.tooMany()
	}
	s.files, s.labels = files, labels
	if bytes <= o.MemoryBytes {
		s.image = func(i int) (Image, error) { return images[i], nil }
	} else {
		s.image = func(i int) (Image, error) { return decodeAgain(ctx, from, files[i]) }
	}
	return nil
}

// lookAtAll files in parallel; bytes is what all would take decoded. An error is of the storage.
func lookAtAll(ctx context.Context, from source, files []string, o Options) (results []outcome, bytes int64, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	results = make([]outcome, len(files))
	var next, sum, done atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex // serialises Progress
	for range min(o.Workers, len(files)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return
				}
				results[i] = lookAt(ctx, from, files[i], &sum, o.MemoryBytes)
				if err := accessError(results[i].bad); err != nil {
					stop(err)
				}
				if n := done.Add(1); n%1000 == 0 || int(n) == len(files) {
					mu.Lock()
					o.report("decode images", n, int64(len(files)))
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return results, sum.Load(), context.Cause(ctx)
}

// lookAt a file. Its image is kept while all so far fit into memory.
func lookAt(ctx context.Context, from source, file string, sum *atomic.Int64, memory int64) outcome {
	data, err := readFile(ctx, from, file)
	if err != nil {
		return outcome{bad: err}
	}
	m, err := checked(data, from.path(file))
	if sum.Add(m.bytes()) > memory {
		m = Image{}
	}
	return outcome{m, err}
}

// decodeAgain a file that was good when the set was opened.
func decodeAgain(ctx context.Context, from source, file string) (Image, error) {
	data, err := readFile(ctx, from, file)
	if err == nil {
		var m Image
		if m, err = unchecked(data, from.path(file)); err == nil {
			return m, nil
		}
	}
	if err := accessError(err); err != nil {
		return Image{}, err
	}
	return Image{}, imageChanged(from.path(file), err)
}

func imageChanged(file string, err error) error {
	return contract.UserErrorf("ImageChanged", "%s could be decoded when the stage began and now can not: %w; do not change a dataset while a run uses it", shortName(file), err)
}

// shown is how many bad files a message names.
const shown = 3

func (s *Set) tooMany() error {
	skipped := s.Skipped()
	return contract.UserErrorf("TooManyBadImages", "%d of %d image files are bad, at most %d are skipped: %s; repair or remove them", len(skipped), s.total, tolerated(s.total), list(skipped))
}

// list names the first files and why each is bad.
func list(skipped []Skipped) string {
	var names []string
	for _, f := range skipped[:min(shown, len(skipped))] {
		names = append(names, fmt.Sprintf("%s (%s)", shortName(f.File), f.Reason))
	}
	if more := len(skipped) - shown; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// shortName is the last three parts of a path: split, class and file.
func shortName(path string) string {
	class, file := filepath.Split(path)
	split, class := filepath.Split(filepath.Clean(class))
	return filepath.Join(filepath.Base(split), class, file)
}
