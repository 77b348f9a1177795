package dataset

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A killed process's partial file is gone on with; what further ones have left is removed.
func TestKilledDownloadIsResumed(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for name, tc := range map[string]struct {
		left   []byte
		ranges []string
	}{
		"its beginning":   {content[:3000], []string{"bytes=3000-"}},
		"another file's":  {bytes.Repeat([]byte("x"), 3000), []string{"bytes=3000-", ""}},
		"all of it":       {content, []string{"bytes=10000-", ""}},
		"more than it is": {append(slices.Clone(content), 1), []string{"bytes=10001-", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			hurry(t)
			var ranges []string
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
				ranges = append(ranges, r.Header.Get("Range"))
				whole(content)(w, r)
			})
			o := Options{Mirror: url, Cache: t.TempDir()}
			write(t, filepath.Join(o.Cache, "small", ".file.gz.1"), tc.left)
			write(t, filepath.Join(o.Cache, "small", ".file.gz.2"), content[:10])
			dir, err := fetchKnown(context.Background(), "small", small(content, true), o)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "file.gz")); err != nil || !bytes.Equal(got, content) || !slices.Equal(ranges, tc.ranges) {
				t.Errorf("%d bytes by the ranges %q, want %q; %v", len(got), ranges, tc.ranges, err)
			}
			wantOneFile(t, dir)
			write(t, filepath.Join(dir, ".file.gz.3"), content[:10])
			if _, err := fetchKnown(context.Background(), "small", small(content, true), o); err != nil {
				t.Error(err)
			}
			wantOneFile(t, dir)
		})
	}
}

// Two processes with one cache: each gets the whole file, and neither takes the other's partial file.
func TestTwoProcessesFetchOneFile(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	if url := os.Getenv("TEST_FETCH_URL"); url != "" {
		_, err := fetchKnown(context.Background(), "small", small(content, true), Options{Mirror: url, Cache: os.Getenv("TEST_FETCH_CACHE")})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	var both sync.WaitGroup // each answers half, and the rest when the other is there, too
	both.Add(2)
	url, requests := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			t.Errorf("a partial file in use was taken: %s", r.Header.Get("Range"))
		}
		_, _ = w.Write(content[:5000])
		w.(http.Flusher).Flush()
		time.Sleep(50 * time.Millisecond) // for the half to be in the file
		both.Done()
		both.Wait()
		_, _ = w.Write(content[5000:])
	})
	cache := t.TempDir()
	other := exec.Command(os.Args[0], "-test.run=^TestTwoProcessesFetchOneFile$")
	other.Env = append(os.Environ(), "TEST_FETCH_URL="+url, "TEST_FETCH_CACHE="+cache)
	var out bytes.Buffer
	other.Stdout, other.Stderr = &out, &out
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := fetchKnown(context.Background(), "small", small(content, true), Options{Mirror: url, Cache: cache})
	if err := other.Wait(); err != nil {
		t.Errorf("the other process: %v %s", err, out.String())
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "file.gz")); err != nil || !bytes.Equal(got, content) || requests.Load() != 2 {
		t.Errorf("%d bytes by %d requests, %v", len(got), requests.Load(), err)
	}
	wantOneFile(t, dir)
}

// What a process writes is locked against others, which is all that tells it from what a killed one has left.
func TestPartialIsLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	f, resumed, err := openPartial(path)
	if err != nil || resumed {
		t.Fatal(resumed, err)
	}
	defer f.Close()
	g, err := os.OpenFile(f.Name(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := lock(g); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("locked twice: %v", err)
	}
	if left := leftPartial(path); left != nil {
		t.Error("one that is in use was taken")
	}
}
