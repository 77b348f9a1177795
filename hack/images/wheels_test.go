package main

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1"
)

func TestUnpack(t *testing.T) {
	for name, tc := range map[string]struct {
		files   []string
		want    []string
		wantErr string
	}{
		"what is named, and the licences": {
			files: []string{"nvidia/lib/libone.so.*"},
			want: []string{
				"/opt/simclr/pjrt/nvidia/lib/libone.so.1",
				"/opt/simclr/pjrt/one-1.dist-info/METADATA",
				"/opt/simclr/pjrt/one-1.dist-info/licenses/License.txt",
			},
		},
		"what the wheel lacks": {files: []string{"nvidia/lib/libtwo.so.1"}, wantErr: "nvidia/lib/libtwo.so.1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := wheel{project: "one", version: "1", files: tc.files}.unpack(wheelOf(t), t.TempDir())
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, tc.want) {
				t.Errorf("files %v, want %v", names, tc.want)
			}
		})
	}
}

// Whatever directory and time a wheel is unpacked in and at, its layer has the same digest.
func TestStoredLayerIsReproducible(t *testing.T) {
	var digests []string
	for range 2 {
		dir := t.TempDir()
		part, err := wheel{project: "one", version: "1", files: []string{"nvidia/lib/*"}}.unpack(wheelOf(t), dir)
		if err != nil {
			t.Fatal(err)
		}
		l, err := part.storedLayer(filepath.Join(dir, "layer.tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		digest, err := l.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest.String())
	}
	if digests[0] != digests[1] {
		t.Errorf("digests %s", digests)
	}
}

// A layer, in memory or on disk, says how large it is unpacked.
func TestLayersKnowTheirSizes(t *testing.T) {
	contents := files{"/opt/simclr/large": {content: bytes.Repeat([]byte("large"), 1e5)}, "/opt/simclr/small": {content: []byte("small")}}
	for name, layer := range map[string]func() (v1.Layer, error){
		"in memory": contents.layer,
		"on disk":   func() (v1.Layer, error) { return contents.storedLayer(filepath.Join(t.TempDir(), "layer.tar.gz")) },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := layer()
			if err != nil {
				t.Fatal(err)
			}
			archive, err := l.Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			defer archive.Close()
			want, err := io.Copy(io.Discard, archive)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.(sizedLayer).unpacked; got != want || got < 5e5 {
				t.Errorf("%d bytes, not %d", want, got)
			}
		})
	}
}

// What a plugin needs is in the image: of its own wheels, of the trainer's libraries, or added to them.
func TestMissingLibraries(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		own, system files
		want        bool
	}{
		"the system lacks it": {own: files{"/opt/simclr/pjrt/a.so": {from: shell}}, want: true},
		"the system has it":   {own: files{"/opt/simclr/pjrt/a.so": {from: shell}}, system: files{"/lib/x86_64-linux-gnu/libc.so.6": {}, "/lib64/ld-linux-x86-64.so.2": {}}},
		"a wheel has it":      {own: files{"/opt/simclr/pjrt/a.so": {from: shell}, "/opt/simclr/pjrt/libc.so.6": {from: self + ".none"}, "/opt/simclr/pjrt/ld-linux-x86-64.so.2": {}}},
		"no library":          {own: files{"/opt/simclr/pjrt/notices": {from: os.DevNull}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := missingLibraries(tc.own, tc.system)
			if err != nil {
				t.Fatal(err)
			}
			if _, added := got["/lib/x86_64-linux-gnu/libc.so.6"]; added != tc.want || len(got) > 0 != tc.want {
				t.Errorf("added %v", slices.Sorted(maps.Keys(got)))
			}
		})
	}
}

// Every wheel is pinned by its content.
func TestWheelsArePinned(t *testing.T) {
	for _, w := range slices.Concat(cuda, tpu) {
		if len(w.sha256) != 64 || w.version == "" || len(w.files) == 0 {
			t.Errorf("%s %s has the sum %q and %d files", w.project, w.version, w.sha256, len(w.files))
		}
	}
}

// wheelOf is a wheel with two libraries, headers and a licence.
func wheelOf(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "one.whl")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(out)
	for _, entry := range []string{
		"nvidia/lib/libone.so.1", "nvidia/lib/libother.so.1", "nvidia/include/one.h", "../escape/LICENSE",
		"one-1.dist-info/METADATA", "one-1.dist-info/licenses/License.txt",
	} {
		w, err := z.Create(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(entry)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}
