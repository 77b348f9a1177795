package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// small is a known dataset of one file, as it is or .gz.
func small(content []byte, whole bool) known {
	sum := sha256.Sum256(content)
	f := remoteFile{name: "file.gz", size: int64(len(content)), sha256: hex.EncodeToString(sum[:]), whole: whole}
	return known{files: map[Split][]remoteFile{Train: {f}}}
}

// serve answers with the handlers one after the other, and with the last from then on.
func serve(t *testing.T, handlers ...http.HandlerFunc) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(requests.Add(1))
		handlers[min(n, len(handlers))-1](w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, requests
}

func whole(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data)) // answers to Range, too
	}
}

// cut promises all of data, sends n bytes and hangs up.
func cut(data []byte, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:n])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func noRange(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

func hurry(t *testing.T) {
	t.Helper()
	old := firstBackoff
	firstBackoff = time.Millisecond
	t.Cleanup(func() { firstBackoff = old })
}

func TestDownload(t *testing.T) {
	hurry(t)
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for name, tc := range map[string]struct {
		handlers []http.HandlerFunc
		requests int64
	}{
		"at once":            {[]http.HandlerFunc{whole(content)}, 1},
		"busy":               {[]http.HandlerFunc{status(503), status(429), whole(content)}, 3},
		"resumed":            {[]http.HandlerFunc{cut(content, 3000), whole(content)}, 2},
		"resumed twice":      {[]http.HandlerFunc{cut(content, 3000), status(500), whole(content)}, 3},
		"no ranges":          {[]http.HandlerFunc{cut(content, 3000), noRange(content)}, 2},
		"range out of range": {[]http.HandlerFunc{cut(content, 3000), status(416), whole(content)}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := serve(t, tc.handlers...)
			var last int64
			o := Options{Mirror: url + "/", Cache: t.TempDir(), Progress: func(_ string, done, _ int64) { last = done }}
			dir, err := fetchKnown(context.Background(), "small", small(content, true), o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "file.gz"))
			if err != nil || !bytes.Equal(got, content) || requests.Load() != tc.requests || last != int64(len(content)) {
				t.Errorf("%d bytes by %d requests, want %d; progress ends at %d; %v", len(got), requests.Load(), tc.requests, last, err)
			}
			if _, err := fetchKnown(context.Background(), "small", small(content, true), o); err != nil || requests.Load() != tc.requests {
				t.Errorf("a file of the cache is asked for again: %v", err)
			}
			wantOneFile(t, dir)
		})
	}
}

// wantOneFile: no temporary file is left.
func wantOneFile(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the cache has %v, want one file; %v", entries, err)
	}
}

// A .gz file's checksum is of its content: compressed otherwise it is the same file.
func TestDownloadCompressedOtherwise(t *testing.T) {
	url, _ := serve(t, whole(gzipped(t, []byte("content"))))
	if _, err := fetchKnown(context.Background(), "small", small([]byte("content"), false), Options{Mirror: url, Cache: t.TempDir()}); err != nil {
		t.Error(err)
	}
}

func TestDamagedCacheIsReplaced(t *testing.T) {
	url, requests := serve(t, whole([]byte("content")))
	o := Options{Mirror: url, Cache: t.TempDir()}
	write(t, filepath.Join(o.Cache, "small", "file.gz"), []byte("consent"))
	dir, err := fetchKnown(context.Background(), "small", small([]byte("content"), true), o)
	if got, _ := os.ReadFile(filepath.Join(dir, "file.gz")); err != nil || string(got) != "content" || requests.Load() != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDownloadFails(t *testing.T) {
	hurry(t)
	content, packed := []byte("content"), gzipped(t, []byte("consent"))
	for name, tc := range map[string]struct {
		whole    bool
		handler  http.HandlerFunc
		code     int
		want     []string
		requests int64
	}{
		"404":            {true, status(404), contract.ExitUserError, []string{"/small/file.gz", "wanted 200, got 404", "mirror"}, 1},
		"wrong checksum": {true, whole([]byte("consent")), contract.ExitUserError, []string{"/small/file.gz", "wanted the SHA-256 ed7002b4", "got 12423e04"}, 1},
		"other content":  {false, whole(packed), contract.ExitUserError, []string{"wanted the SHA-256 ed7002b4", "got 12423e04"}, 1},
		"too short":      {true, whole([]byte("con")), contract.ExitUserError, []string{"/small/file.gz", "wanted 7 bytes of content, got 3"}, 1},
		"too long":       {true, whole([]byte("contents")), contract.ExitUserError, []string{"wanted 7 bytes of content, got more"}, 1},
		"truncated gz":   {false, whole(packed[:20]), contract.ExitUserError, []string{"unexpected EOF"}, 1},
		"a page of HTML": {false, whole([]byte("<html>sign in</html>")), contract.ExitUserError, []string{"wanted a gzip file"}, 1},
		"always cut":     {true, cut(content, 2), 1, []string{"wanted 7 bytes, got 2", "check the network", "datasetMirror", "--dataset-mirror"}, downloadAttempts},
		"always busy":    {true, status(503), 1, []string{"wanted 200, got 503"}, downloadAttempts},
		"moved to a file": {true, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, 1, []string{"unsupported protocol"}, downloadAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			url, requests := serve(t, tc.handler)
			o := Options{Mirror: url, Cache: t.TempDir()}
			_, err := fetchKnown(context.Background(), "small", small(content, tc.whole), o)
			if contract.ExitCode(err) != tc.code || requests.Load() != tc.requests {
				t.Errorf("exit code %d after %d requests, want %d after %d: %v", contract.ExitCode(err), requests.Load(), tc.code, tc.requests, err)
			}
			for _, w := range tc.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("%v does not say %q", err, w)
				}
			}
			if entries, _ := os.ReadDir(filepath.Join(o.Cache, "small")); len(entries) != 0 {
				t.Errorf("left in the cache: %v", entries)
			}
		})
	}
}

func TestDownloadWithoutMirrorOrCache(t *testing.T) {
	hurry(t)
	_, err := fetchKnown(context.Background(), "small", small(nil, true), Options{Mirror: "ftp://host", Cache: t.TempDir()})
	wantUserError(t, err, "ftp://host/small/file.gz", "no http or https URL")
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	if _, err := fetchKnown(context.Background(), "small", small(nil, true), Options{Cache: file}); contract.ExitCode(err) != contract.ExitStorage {
		t.Errorf("a cache that is no directory: %v", err)
	}
}

func TestDownloadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "7")
		_, _ = w.Write([]byte("con"))
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	})
	_, err := fetchKnown(ctx, "small", small([]byte("content"), true), Options{Mirror: url, Cache: t.TempDir()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A whole known dataset from a mirror: CIFAR-10's table entry with an archive of three images in its place.
func TestOpenKnown(t *testing.T) {
	archive := tarball(t, map[string][]byte{"x/data_batch_1.bin": records(1, 2), "x/test_batch.bin": records(3)})
	var paths []string
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		whole(archive)(w, r)
	})
	old := knownDatasets["cifar-10"]
	t.Cleanup(func() { knownDatasets["cifar-10"] = old })
	k := small(archive, true)
	k.files[Train][0].name = cifarArchiveName
	k.files[Test] = k.files[Train]
	k.format, k.classes = old.format, old.classes
	knownDatasets["cifar-10"] = k
	cache := t.TempDir()
	for split, want := range map[Split][]int{Train: {1, 2}, Test: {3}} {
		s, err := Open(context.Background(), v1alpha1.DatasetSpec{Name: "cifar-10"}, Options{Split: split, Mirror: url, Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, labelsOf(s)); diff != "" || s.Classes()[3] != "cat" {
			t.Error(split, diff, s.Classes())
		}
	}
	if diff := cmp.Diff([]string{"/cifar-10/" + cifarArchiveName}, paths); diff != "" {
		t.Error(diff)
	}
}
