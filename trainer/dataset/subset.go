package dataset

import (
	"context"
	"path"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// LabelSubset is the images that a list names: a file below the dataset's root, a name a line, as google-research/simclr's
// imagenet_subsets/1percent.txt has them. A name is a file's, or class/file; one that is there twice counts once, one of
// a file that was found to be bad is left out. indices are in the set's order; counts are the images of each class. field
// of the API has the file, for messages. What the images do not have is a user error.
func (s *Set) LabelSubset(ctx context.Context, file, field string) (indices, counts []int, err error) {
	where := field + " " + file
	if len(s.files) == 0 {
		return nil, nil, contract.UserErrorf("NoNames", "%s: the dataset's images have no names; set labelFraction instead", where)
	}
	if !filepath.IsLocal(file) {
		return nil, nil, contract.UserErrorf("InvalidSpec", "%s leads out of the dataset; name a file below its root", where)
	}
	data, err := readFile(ctx, s.from, file)
	if err != nil {
		return nil, nil, invalid(field+" "+s.from.path(file), err, "put the list there, or correct the path")
	}
	names := nonEmpty(string(data))
	if len(names) == 0 {
		return nil, nil, contract.UserErrorf("EmptySubset", "%s names no image; write a file's name a line", where)
	}
	chosen, err := s.find(names, where)
	if err != nil {
		return nil, nil, err
	}
	counts = make([]int, len(s.classes))
	for i := range s.Len() {
		if chosen[i] {
			indices = append(indices, i)
			counts[s.labels[i]]++
		}
	}
	if len(indices) == 0 {
		return nil, nil, contract.UserErrorf("EmptySubset", "%s names only files that are bad; repair them, or name others", where)
	}
	return indices, counts, nil
}

// What a name leads to that is no image's.
const (
	skippedImage = -1 - iota
	severalImages
)

// find the images of names. where is what the error says first.
func (s *Set) find(names []string, where string) (map[int]bool, error) {
	images := s.byName()
	chosen := map[int]bool{}
	var unknown, several []string
	for _, name := range names {
		switch i, ok := images[s.named(name)]; {
		case !ok:
			unknown = append(unknown, name)
		case i == severalImages:
			several = append(several, name)
		case i != skippedImage:
			chosen[i] = true
		}
	}
	switch {
	case len(unknown) > 0:
		return nil, contract.UserErrorf("UnknownImages", "%s: %d of its %d names are not of training images (%s); use the list of this dataset, and leave its limit out", where, len(unknown), len(names), firstOf(unknown))
	case len(several) > 0:
		return nil, contract.UserErrorf("AmbiguousImages", "%s: %d of its %d names are of images of several classes (%s); write class/file", where, len(several), len(names), firstOf(several))
	}
	return chosen, nil
}

// named is how a list's name is among byName's: without an image's ending, where there are keys.
func (s *Set) named(name string) string {
	if !s.keyed {
		return name
	}
	switch ending := path.Ext(name); strings.ToLower(ending) {
	case ".jpg", ".jpeg", ".png":
		return strings.TrimSuffix(name, ending)
	}
	return name
}

// byName are the images by file, by class/file and, where they have one, by key.
func (s *Set) byName() map[string]int {
	images := make(map[string]int, 2*len(s.files))
	add := func(file string, i int) {
		class, base := path.Base(path.Dir(file)), path.Base(file)
		for _, name := range []string{base, path.Join(class, base)} {
			if j, taken := images[name]; taken && j != i {
				images[name] = severalImages
			} else {
				images[name] = i
			}
		}
		if s.keyed {
			images[file] = i
		}
	}
	for i, file := range s.files {
		add(file, i)
	}
	for _, file := range s.without {
		add(file, skippedImage)
	}
	return images
}

// nonEmpty lines, without the space around them.
func nonEmpty(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// firstOf names in a message.
func firstOf(names []string) string {
	more := ""
	if len(names) > shown {
		more = ", …"
	}
	return strings.Join(names[:min(shown, len(names))], ", ") + more
}
