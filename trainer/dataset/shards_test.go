package dataset

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShardsOf(t *testing.T) {
	for name, tc := range map[string]struct {
		files       []string
		pattern     string
		train, test []string
	}{
		"beside one another": {files: []string{"train-1.tar", "train-0.tar", "val-0.tar", "notes.txt", ".train-9.tar"},
			train: []string{"train-0.tar", "train-1.tar"}, test: []string{"val-0.tar"}},
		"in folders": {files: []string{"train/1.tar", "train/0.tar", "test/0.tar", "val/0.tar", "old/train-0.tar"},
			train: []string{"train/0.tar", "train/1.tar"}, test: []string{"test/0.tar"}},
		"longer names": {files: []string{"imagenet1k-train-0001.tar", "imagenet1k-validation-00.tar", "trainer.tar"},
			train: []string{"imagenet1k-train-0001.tar"}, test: []string{"imagenet1k-validation-00.tar"}},
		"no split": {files: []string{"00001.tar", "00000.tar"}, train: []string{"00000.tar", "00001.tar"}},
		"a pattern": {files: []string{"train-7.tar"}, pattern: "{train-{00..01},val/{0,1}}.tar",
			train: []string{"train-00.tar", "train-01.tar"}, test: []string{"val/0.tar", "val/1.tar"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range tc.files {
				write(t, filepath.Join(dir, f), nil)
			}
			got, err := shardsOf(t.Context(), directory(dir), tc.pattern, Options{Split: Train})
			if diff := cmp.Diff(tc.train, got); diff != "" || err != nil {
				t.Errorf("train: %v %s", err, diff)
			}
			got, err = shardsOf(t.Context(), directory(dir), tc.pattern, Options{Split: Test})
			if diff := cmp.Diff(tc.test, got); diff != "" || (err == nil) != (tc.test != nil) {
				t.Errorf("test: %v %s", err, diff)
			}
		})
	}
}

func TestNoShards(t *testing.T) {
	for name, tc := range map[string]struct {
		file, pattern string
		split         Split
		want          []string
	}{
		"none":        {"a.jpg", "", Train, []string{"has no training shards", "train-….tar", "field.format"}},
		"no test":     {"train-0.tar", "", Test, []string{"has no test shards", "val/"}},
		"compressed":  {"train-0.tar.gz", "", Train, []string{"train-0.tar.gz is compressed", "unpack it"}},
		"bad pattern": {"a", "train-{0..1.tar", Train, []string{"field.uri", "without its }", "write such as"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, tc.file), nil)
			_, err := shardsOf(t.Context(), directory(dir), tc.pattern, Options{Split: tc.split, Field: "field"})
			wantUserError(t, err, tc.want...)
		})
	}
}

func TestCutPattern(t *testing.T) {
	for uri, want := range map[string][2]string{
		"pvc://c/d":                       {"pvc://c/d", ""},
		"https://h/d/train-{0..1}.tar":    {"https://h/d/", "train-{0..1}.tar"},
		"s3://b/{train/{0..1},val/0}.tar": {"s3://b/", "{train/{0..1},val/0}.tar"},
	} {
		if root, pattern := cutPattern(uri); root != want[0] || pattern != want[1] {
			t.Errorf("%s: %q, %q", uri, root, pattern)
		}
	}
}
