package dataset

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Messages name the field that has the dataset.
func TestMessagesNameTheField(t *testing.T) {
	limit := int32(9)
	idx := t.TempDir()
	write(t, filepath.Join(idx, "train-images-idx3-ubyte"), idxOf(make([]byte, 8), 2, 2, 2))
	flat := t.TempDir()
	fill(t, flat, map[string]int{"train": 2})
	for name, tc := range map[string]struct {
		spec  v1alpha1.DatasetSpec
		split Split
		dir   string
		want  string
	}{
		"name":      {v1alpha1.DatasetSpec{Name: "imagenet"}, Train, "", "spec.evaluation.dataset.name"},
		"uri":       {v1alpha1.DatasetSpec{}, Train, "", "spec.evaluation.dataset.uri"},
		"scheme":    {v1alpha1.DatasetSpec{URI: "ftp://x/y"}, Train, "", "spec.evaluation.dataset.uri"},
		"missing":   {v1alpha1.DatasetSpec{URI: "file:///none"}, Train, "", "spec.evaluation.dataset.uri"},
		"format":    {v1alpha1.DatasetSpec{URI: "file://" + idx, Format: "X"}, Train, "", "spec.evaluation.dataset.format"},
		"limit":     {v1alpha1.DatasetSpec{URI: "file://" + idx, Format: v1alpha1.FormatIDX, Limit: &limit}, Train, "", "spec.evaluation.dataset.limit"},
		"no train":  {v1alpha1.DatasetSpec{URI: "file://" + idx, Format: v1alpha1.FormatImageFolder}, Train, "", "spec.evaluation.dataset.format"},
		"no class":  {v1alpha1.DatasetSpec{URI: "file://" + flat, Format: v1alpha1.FormatImageFolder}, Train, "", "spec.evaluation.dataset.format"},
		"no images": {v1alpha1.DatasetSpec{URI: "file://" + flat, Format: v1alpha1.FormatImages}, Train, "", "spec.evaluation.dataset.format"},
		"no test":   {v1alpha1.DatasetSpec{URI: "file://" + flat, Format: v1alpha1.FormatImages}, Test, "", "spec.evaluation.dataset.format"},
		"directory": {v1alpha1.DatasetSpec{Format: v1alpha1.FormatIDX}, Train, "/none", "--evaluation-dataset"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), tc.spec, Options{Field: "spec.evaluation.dataset", Split: tc.split, Directory: tc.dir})
			wantUserError(t, err, tc.want)
		})
	}
}

// Formats of one file are in memory as a whole, so they may not be larger than what they are given.
func TestLargerThanTheirMemory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train-images-idx3-ubyte"), idxOf(make([]byte, 2<<20), 2, 1024, 1024))
	write(t, filepath.Join(dir, "data_batch_1.bin"), records(1))
	write(t, filepath.Join(dir, "data_batch_2.bin"), records(1))
	archive := t.TempDir()
	write(t, filepath.Join(archive, cifarArchiveName), tarball(t, map[string][]byte{"data_batch_1.bin": records(1, 2)}))
	for name, tc := range map[string]struct {
		dir    string
		format v1alpha1.DatasetFormat
		size   int64
	}{
		"IDX":           {dir, v1alpha1.FormatIDX, 2 << 20},
		"CIFAR":         {dir, v1alpha1.FormatCIFAR, 2 * cifarRecord},
		"CIFAR archive": {archive, v1alpha1.FormatCIFAR, 2 * cifarRecord},
	} {
		t.Run(name, func(t *testing.T) {
			mustOpen(t, tc.dir, tc.format, 0, Options{MemoryBytes: tc.size})
			_, err := open(t, tc.dir, tc.format, 0, Options{MemoryBytes: tc.size - 1})
			wantUserError(t, err, "MiB of memory", "template.resources", "ImageFolder")
		})
	}
}

// The classes of IDX are those of the training labels, of which a test split may lack some, also the last.
func TestIDXTestSplitLacksAClass(t *testing.T) {
	dir := t.TempDir()
	save := func(prefix string, labels ...byte) {
		write(t, filepath.Join(dir, prefix+"-images-idx3-ubyte"), idxOf(make([]byte, len(labels)), uint32(len(labels)), 1, 1))
		write(t, filepath.Join(dir, prefix+"-labels-idx1-ubyte"), idxOf(labels, uint32(len(labels))))
	}
	save("train", 0, 1, 2, 3)
	save("t10k", 0, 1)
	train, test := mustOpen(t, dir, v1alpha1.FormatIDX, 0, Options{}), mustOpen(t, dir, v1alpha1.FormatIDX, 0, Options{Split: Test})
	if err := CheckSplits(train, test, "spec.dataset"); err != nil {
		t.Error(err)
	}
	save("t10k", 0, 4)
	_, err := open(t, dir, v1alpha1.FormatIDX, 0, Options{Split: Test})
	wantUserError(t, err, "t10k-labels-idx1-ubyte has the label 4", "is 3")
}
