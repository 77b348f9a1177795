package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// subsetFolder has ant/{aa.PNG,ab.jpg,ac.jpg} and cat/{aa.PNG,ab.jpg,only.jpg}, and a file that is no image.
func subsetFolder(t *testing.T) string {
	t.Helper()
	dir := folder(t, map[string]int{"ant": 3, "cat": 2})
	only, err := os.ReadFile(filepath.Join(dir, "train", "cat", "ab.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "train", "cat", "only.jpg"), only)
	write(t, filepath.Join(dir, "train", "cat", "bad.jpg"), []byte("no image"))
	return dir
}

func TestLabelSubset(t *testing.T) {
	dir := subsetFolder(t)
	s := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{})
	for name, tc := range map[string]struct {
		list            string
		indices, counts []int
	}{
		"names":           {"only.jpg\nac.jpg\n", []int{2, 5}, []int{1, 1}},
		"class and file":  {"cat/aa.PNG\nant/ab.jpg\nant/aa.PNG", []int{0, 1, 3}, []int{2, 1}},
		"twice":           {"ac.jpg\nant/ac.jpg\nac.jpg\n", []int{2}, []int{1, 0}},
		"space and lines": {"\r\n  ac.jpg \r\n\r\n", []int{2}, []int{1, 0}},
		"a bad file":      {"bad.jpg\nonly.jpg\n", []int{5}, []int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, filepath.Join(dir, "subsets", "list.txt"), []byte(tc.list))
			indices, counts, err := s.LabelSubset(t.Context(), "subsets/list.txt", "field")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([][]int{tc.indices, tc.counts}, [][]int{indices, counts}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadLabelSubset(t *testing.T) {
	dir := subsetFolder(t)
	write(t, filepath.Join(dir, "train-images-idx3-ubyte"), idxOf(make([]byte, 4), 4, 1, 1))
	write(t, filepath.Join(dir, "train-labels-idx1-ubyte"), idxOf([]byte{0, 1, 0, 1}, 4))
	for name, tc := range map[string]struct {
		list   string
		format v1alpha1.DatasetFormat
		file   string
		want   []string
	}{
		"unknown":     {"only.jpg\na.jpg\nb.jpg\nc.jpg\nd.jpg\n", "ImageFolder", "list.txt", []string{"field list.txt: 4 of its 5 names", "(a.jpg, b.jpg, c.jpg, …)", "use the list of this dataset"}},
		"other class": {"ant/only.jpg", "ImageFolder", "list.txt", []string{"1 of its 1 names", "(ant/only.jpg)"}},
		"several":     {"only.jpg\nab.jpg", "ImageFolder", "list.txt", []string{"1 of its 2 names are of images of several classes (ab.jpg); write class/file"}},
		"empty":       {" \n", "ImageFolder", "list.txt", []string{"names no image", "a file's name a line"}},
		"only bad":    {"bad.jpg", "ImageFolder", "list.txt", []string{"names only files that are bad"}},
		"not there":   {"", "ImageFolder", "other.txt", []string{"field", "other.txt", "put the list there"}},
		"outside":     {"", "ImageFolder", "../list.txt", []string{"leads out of the dataset"}},
		"no file":     {"", "ImageFolder", "train", []string{"not a regular file"}},
		"of no names": {"only.jpg", "IDX", "list.txt", []string{"have no names; set labelFraction"}},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, filepath.Join(dir, "list.txt"), []byte(tc.list))
			s := mustOpen(t, dir, tc.format, 0, Options{})
			_, _, err := s.LabelSubset(t.Context(), tc.file, "field")
			wantUserError(t, err, tc.want...)
		})
	}
}

// An image that dataset.limit leaves out is not there.
func TestLabelSubsetOfALimit(t *testing.T) {
	dir := subsetFolder(t)
	write(t, filepath.Join(dir, "list.txt"), []byte("only.jpg"))
	_, _, err := mustOpen(t, dir, v1alpha1.FormatImageFolder, 2, Options{}).LabelSubset(t.Context(), "list.txt", "field")
	wantUserError(t, err, "only.jpg", "leave its limit out")
}
