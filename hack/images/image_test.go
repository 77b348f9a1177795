package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
)

// An image that is built twice, its program compiled anew, has the same digest, and its layers are told one by one.
func TestImageIsReproducible(t *testing.T) {
	img, err := assemble(t.Context(), "../..", "pause")
	if err != nil {
		t.Fatal(err)
	}
	if err := again(t.Context(), "../..", "pause", img); err != nil {
		t.Error(err)
	}
	if err := again(t.Context(), "../..", "pause", empty.Image); err == nil || !strings.Contains(err.Error(), "built twice, its digests are sha256:") {
		t.Errorf("another image gives the error %v", err)
	}
	var out bytes.Buffer
	if err := report(&out, name.MustParseReference("registry.example/pause:1"), img); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "registry.example/pause:1@sha256:") || !strings.HasSuffix(lines[1], "MB  pause") {
		t.Errorf("reported %q", lines)
	}
}
