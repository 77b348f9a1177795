package dataset

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"encoding/pem"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// plainServer is the HTTPS address of a server that speaks HTTP.
func plainServer(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	return "https://" + s.Listener.Addr().String()
}

// secure is a server by HTTPS, and a file of its authority.
func secure(t *testing.T, h http.Handler) (url, ca string) {
	t.Helper()
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.crt")
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return s.URL, ca
}

func TestWeb(t *testing.T) {
	quickly(t, 10*time.Second)
	root := t.TempDir()
	formats(t, root)
	url, ca := secure(t, http.FileServer(http.Dir(root)))
	wantAsLocal(t, root, []v1alpha1.DatasetFormat{v1alpha1.FormatIDX, v1alpha1.FormatCIFAR}, v1alpha1.DatasetSpec{URI: url}, Options{CABundle: ca})
	if err := os.Remove(filepath.Join(root, "CIFAR", "data_batch_4.bin")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "archive", cifarArchiveName), tarball(t, map[string][]byte{"data_batch_1.bin": records(1, 2), "test_batch.bin": records(1)}))
	for name, tc := range map[string]struct {
		path   string
		format v1alpha1.DatasetFormat
		want   []string // nil: no error
	}{
		"archive":         {"/archive", v1alpha1.FormatCIFAR, nil},
		"some files only": {"/CIFAR", v1alpha1.FormatCIFAR, []string{"data_batch_4.bin"}},
		"no files":        {"/none", v1alpha1.FormatCIFAR, []string{"/none has no CIFAR-10 train files"}},
		"no IDX":          {"/none", v1alpha1.FormatIDX, []string{"train-images-idx3-ubyte.gz"}},
		"shards":          {"/WebDataset/{train-0,train/1,val-0}.tar", v1alpha1.FormatWebDataset, nil},
		"shards, listed":  {"/WebDataset", v1alpha1.FormatWebDataset, []string{"spec.dataset.uri", "lists no shards", "{train-{000000..000146}"}},
		"a missing shard": {"/WebDataset/train-{0..1}.tar", v1alpha1.FormatWebDataset, []string{"train-1.tar", "put the shard there"}},
		"no listing":      {"/Images", v1alpha1.FormatImages, []string{"spec.dataset.format", "lists none"}},
		"no folders":      {"/ImageFolder", v1alpha1.FormatImageFolder, []string{"spec.dataset.format", "lists none"}},
		"a query":         {"/Images?x=y", v1alpha1.FormatImages, []string{"spec.dataset.uri", "query"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), v1alpha1.DatasetSpec{URI: url + tc.path, Format: tc.format}, Options{CABundle: ca})
			if tc.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantUserError(t, err, tc.want...)
		})
	}
}

// Whatever a server answers for a while, the file is whole in the end; or the error says whose it is.
func TestWebIsTriedAgain(t *testing.T) {
	quickly(t, time.Second)
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	half := len(content) / 2
	breaks := func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:half])
		panic(http.ErrAbortHandler)
	}
	answer := func(code int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(code) } }
	for name, tc := range map[string]struct {
		first  func(http.ResponseWriter) // answers the first two requests
		always bool                      // and all others
		ranges bool
		want   string // of a user error; "storage" of an outage
	}{
		"unavailable":           {first: answer(503), ranges: true},
		"too many requests":     {first: answer(429), ranges: true},
		"breaks":                {first: breaks, ranges: true},
		"breaks without ranges": {first: breaks},
		"for good":              {first: answer(500), always: true, want: "storage"},
		"forbidden":             {first: answer(403), always: true, want: "access is denied"},
		"bad request":           {first: answer(400), always: true, want: "the server refuses"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			url, ca := secure(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n := asked.Add(1); n <= 2 || tc.always {
					tc.first(w)
					return
				}
				if !tc.ranges {
					_, _ = w.Write(content)
					return
				}
				http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			}))
			src, err := openWeb(v1alpha1.DatasetSpec{URI: url}, Options{Field: datasetField, CABundle: ca})
			if err != nil {
				t.Fatal(err)
			}
			r, _, err := src.open(t.Context(), "file", 0)
			var got []byte
			if err == nil {
				defer r.Close()
				got, err = io.ReadAll(r)
			}
			switch {
			case tc.want == "storage":
				wantStorageError(t, err, url+"/file", "500")
			case tc.want != "":
				wantUserError(t, err, url+"/file", tc.want, "spec.dataset")
				if asked.Load() != 1 {
					t.Errorf("asked %d times", asked.Load())
				}
			case err != nil || !bytes.Equal(got, content):
				t.Errorf("%d bytes that differ, or %v", len(got), err)
			}
		})
	}
}

// A server that is silent is given up, and asked again.
func TestWebThatIsSilent(t *testing.T) {
	quickly(t, 10*time.Second)
	before := stallTimeout
	t.Cleanup(func() { stallTimeout = before })
	stallTimeout = 100 * time.Millisecond
	var asked atomic.Int64
	url, ca := secure(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= 2 {
			<-r.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "content")
	}))
	src, err := openWeb(v1alpha1.DatasetSpec{URI: url}, Options{Field: datasetField, CABundle: ca})
	if err != nil {
		t.Fatal(err)
	}
	got, err := readFile(t.Context(), src, "file")
	if err != nil || !strings.HasPrefix(string(got), "content") {
		t.Errorf("%q, %v", got, err)
	}
}
