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

// outcome of looking at a file: whether its header and its pixels are good.
type outcome struct {
	image           Image
	header, content error
}

// decodeAll looks at every file. Where the decoded images fit into memory they are kept, and every bad
// file is left out; where they do not, files with a bad header are left out and the rest is decoded at
// each access. Which of the two it is depends on the headers alone, never on timing.
func (s *Set) decodeAll(ctx context.Context, o Options) error {
	s.total, s.bad = len(s.files), map[int]bool{}
	results, bytes, err := s.lookAtAll(ctx, o)
	if err != nil {
		return err
	}
	fits := bytes <= o.MemoryBytes
	var files []string
	var labels []int
	for i, r := range results {
		reason := r.header
		if reason == nil && fits {
			reason = r.content
		}
		if reason != nil {
			s.skipped = append(s.skipped, Skipped{s.files[i], reason.Error()})
			continue
		}
		files, labels = append(files, s.files[i]), append(labels, s.labels[i])
		if fits {
			s.images = append(s.images, r.image)
		}
	}
	s.files, s.labels = files, labels
	if len(labels) == 0 || len(s.skipped) > tolerated(s.total) {
		return s.tooMany()
	}
	return nil
}

// lookAtAll files in parallel; bytes is what all would take decoded.
func (s *Set) lookAtAll(ctx context.Context, o Options) (results []outcome, bytes int64, err error) {
	results = make([]outcome, len(s.files))
	var next, sum, done atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex // serialises Progress
	for range min(o.Workers, len(s.files)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(s.files) {
					return
				}
				results[i] = lookAt(s.files[i], &sum, o.MemoryBytes)
				if n := done.Add(1); n%1000 == 0 || int(n) == len(s.files) {
					mu.Lock()
					o.report("decode images", n, int64(len(s.files)))
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return results, sum.Load(), context.Cause(ctx)
}

// lookAt a file: header, and pixels while those of all files so far fit into memory.
func lookAt(file string, sum *atomic.Int64, memory int64) (r outcome) {
	data, err := readFile(file)
	if err != nil {
		return outcome{header: err}
	}
	c, err := decodeHeader(data)
	if err != nil {
		return outcome{header: err}
	}
	if sum.Add(3*int64(c.Width)*int64(c.Height)) <= memory {
		r.image, r.content = decode(data)
	}
	return r
}

// Image i. Of a set that does not fit into memory, a file that turns out to be bad is replaced by the next
// good one of its class, which keeps every epoch's order; too many of them are an error.
func (s *Set) Image(i int) (Image, error) {
	if s.images != nil {
		return s.images[i], nil
	}
	for k := range len(s.files) {
		j := (i + k) % len(s.files)
		if s.labels[j] != s.labels[i] || s.isBad(j) {
			continue
		}
		m, err := decodeFile(s.files[j])
		if err == nil {
			return m, nil
		}
		if err := s.skip(j, err); err != nil {
			return Image{}, err
		}
	}
	return Image{}, s.tooMany()
}

func decodeFile(file string) (Image, error) {
	data, err := readFile(file)
	if err != nil {
		return Image{}, err
	}
	if _, err := decodeHeader(data); err != nil {
		return Image{}, err
	}
	return decode(data)
}

func (s *Set) isBad(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad[i]
}

// skip a file from now on.
func (s *Set) skip(i int, reason error) error {
	s.mu.Lock()
	if !s.bad[i] {
		s.bad[i] = true
		s.skipped = append(s.skipped, Skipped{s.files[i], reason.Error()})
	}
	n := len(s.skipped)
	s.mu.Unlock()
	if n > tolerated(s.total) {
		return s.tooMany()
	}
	return nil
}

// shown is how many bad files a message names.
const shown = 3

func (s *Set) tooMany() error {
	skipped := s.Skipped()
	var names []string
	for _, f := range skipped[:min(shown, len(skipped))] {
		names = append(names, fmt.Sprintf("%s (%s)", shortName(f.File), f.Reason))
	}
	return contract.UserErrorf("TooManyBadImages", "%d of %d image files are bad, at most %d are skipped: %s; repair or remove them", len(skipped), s.total, tolerated(s.total), strings.Join(names, ", "))
}

// shortName is the last two parts of a path: class and file.
func shortName(path string) string {
	return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path))
}
