package dataset

import (
	"context"
	"errors"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// withBad is a folder of 200 good images and some bad ones of class cat.
func withBad(t *testing.T, bad ...[]byte) string {
	t.Helper()
	dir := folder(t, map[string]int{"cat": 100, "dog": 100})
	for i, b := range bad {
		write(t, filepath.Join(dir, "train", "cat", "bad"+string(rune('0'+i))+".jpg"), b)
	}
	return dir
}

func TestBadImagesAreSkipped(t *testing.T) {
	good := jpegOf(t, picture(32, 32, color.Gray{100}))
	for name, tc := range map[string]struct {
		bad  []byte
		want string
	}{
		"text":              {[]byte("hello"), "neither JPEG nor PNG"},
		"cut":               {good[:len(good)-20], "Premature end of JPEG file"},
		"cut in its header": {good[:len(good)/2], "Premature end of JPEG file"},
		"empty":             {nil, "neither"},
		"bomb":              {bomb(60000, 60000), "60000 × 60000 pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := withBad(t, tc.bad)
			s := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{Workers: 2})
			got := s.Skipped()
			if s.Len() != 200 || len(got) != 1 || !strings.HasSuffix(got[0].File, "cat/bad0.jpg") || !strings.Contains(got[0].Reason, tc.want) {
				t.Errorf("%d images, skipped %v", s.Len(), got)
			}
			if diff := cmp.Diff([]int{100, 100}, ClassCounts(s)); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err := open(t, withBad(t, nil, nil, nil), v1alpha1.FormatImageFolder, 0, Options{})
	wantUserError(t, err, "3 of 203", "at most 2", "cat/bad0.jpg", "repair or remove")
}

func TestPipeIsNoImage(t *testing.T) {
	dir := withBad(t)
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "train", "dog", "zero.jpg")); err != nil {
		t.Fatal(err)
	}
	if got := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{}).Skipped(); len(got) != 1 || got[0].Reason != "not a regular file" {
		t.Errorf("skipped %v", got)
	}
}

// A set that is larger than the memory it may have is the same set: a bad image, also of a test split, is left
// out and never stands in for another.
func TestLargerThanMemory(t *testing.T) {
	good := jpegOf(t, picture(32, 32, color.Gray{100}))
	dir := withBad(t, good[:len(good)-20])
	if err := os.Symlink("train", filepath.Join(dir, "test")); err != nil {
		t.Fatal(err)
	}
	for _, split := range []Split{Train, Test} {
		kept := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{Split: split})
		lazy := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{Split: split, MemoryBytes: 1000, Workers: 2})
		if diff := cmp.Diff(labelsOf(kept), labelsOf(lazy)); lazy.Len() != 200 || diff != "" {
			t.Fatal(lazy.Len(), diff)
		}
		if diff := cmp.Diff(kept.Skipped(), lazy.Skipped()); len(lazy.Skipped()) != 1 || diff != "" {
			t.Error(diff)
		}
		for i := range lazy.Len() {
			a, _ := kept.Image(i)
			b, err := lazy.Image(i)
			if diff := cmp.Diff(a, b); err != nil || diff != "" {
				t.Fatal(i, err, diff)
			}
		}
	}
}

func TestLargerThanMemoryTooManyBad(t *testing.T) {
	cut := jpegOf(t, picture(32, 32, color.Gray{100}))
	cut = cut[:len(cut)-20]
	_, err := open(t, withBad(t, cut, cut, cut), v1alpha1.FormatImageFolder, 0, Options{MemoryBytes: 1})
	wantUserError(t, err, "3 of 203 image files are bad")
}

// A file that was good when the set was opened, and is not any more.
func TestImageThatChanges(t *testing.T) {
	dir := withBad(t)
	lazy := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{MemoryBytes: 1})
	write(t, filepath.Join(dir, lazy.files[0]), []byte("text"))
	_, err := lazy.Image(0)
	wantUserError(t, err, "train/cat/aa.PNG", "neither JPEG nor PNG", "do not change")
	second := filepath.Join(dir, lazy.files[1])
	if err := errors.Join(os.Remove(second), os.Symlink("/proc/self/mem", second)); err != nil {
		t.Fatal(err)
	}
	_, err = lazy.Image(1)
	wantStorageError(t, err, "input/output error")
}

func TestOpenEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	spec := v1alpha1.DatasetSpec{URI: "file://" + folder(t, map[string]int{"cat": 2}), Format: v1alpha1.FormatImageFolder}
	if _, err := Open(ctx, spec, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
