package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What a crash left of an export is not shipped.
func TestArchiveLeavesHiddenFilesOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "encoder")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model.safetensors", ".tmp-model.safetensors-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := archive(&b, dir); err != nil {
		t.Fatal(err)
	}
	r := tar.NewReader(&b)
	if h, err := r.Next(); err != nil || h.Name != "encoder/model.safetensors" {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := r.Next(); err != io.EOF {
		t.Errorf("one more: %+v, %v", h, err)
	}
}
