package dataset

import (
	"bytes"
	"context"
	"errors"
	"image/color"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/stores"
)

// What the user has to mend is said at once, with the field and the fix, and not tried again.
func TestS3UserErrors(t *testing.T) {
	quickly(t, time.Hour)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	s := stores.StartS3(t)
	formats(t, filepath.Join(s.Root, "bucket"))
	good := mounted(t, keys(s), s.CA)
	for name, tc := range map[string]struct {
		change  func(*v1alpha1.DatasetSpec)
		secrets string
		want    []string
	}{
		"wrong key":    {nil, mounted(t, map[string]string{accessKeyID: s.AccessKey, secretAccessKey: "wrong"}, s.CA), []string{"SignatureDoesNotMatch", "spec.dataset.credentials"}},
		"unknown user": {nil, mounted(t, map[string]string{accessKeyID: "nobody", secretAccessKey: "wrong"}, s.CA), []string{"No user exists", "spec.dataset: ", "credentials"}},
		"missing key":  {nil, mounted(t, map[string]string{accessKeyID: s.AccessKey}, s.CA), []string{"spec.dataset.credentials", "no key AWS_SECRET_ACCESS_KEY"}},
		"empty key":    {nil, mounted(t, map[string]string{accessKeyID: "", secretAccessKey: "x"}, s.CA), []string{"spec.dataset.credentials", "AWS_ACCESS_KEY_ID is empty"}},
		"no credentials": {func(d *v1alpha1.DatasetSpec) { d.Credentials = nil }, good,
			[]string{"no credentials were found", "spec.dataset.credentials"}},
		"another authority": {nil, mounted(t, keys(s), stores.OtherCA(t)), []string{"unknown authority", "spec.dataset.caBundle"}},
		"no authority":      {func(d *v1alpha1.DatasetSpec) { d.CABundle = nil }, good, []string{"unknown authority", "spec.dataset.caBundle"}},
		"no certificate":    {nil, mounted(t, keys(s), os.DevNull), []string{"spec.dataset.caBundle", "BEGIN CERTIFICATE"}},
		"no such bucket":    {func(d *v1alpha1.DatasetSpec) { d.URI = "s3://none/Images" }, good, []string{"no such bucket", "spec.dataset.uri"}},
		"no such folder":    {func(d *v1alpha1.DatasetSpec) { d.URI = "s3://bucket/none" }, good, []string{"s3://bucket/none does not exist", "spec.dataset.uri"}},
		"no images":         {func(d *v1alpha1.DatasetSpec) { d.URI = "s3://bucket/IDX" }, good, []string{"s3://bucket/IDX has no .jpg", "spec.dataset.format"}},
		"not HTTPS":         {func(d *v1alpha1.DatasetSpec) { d.Endpoint = plainServer(t) }, good, []string{"does not speak HTTPS", "http://", "spec.dataset"}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := s3Spec(s, "s3://bucket/Images", v1alpha1.FormatImages)
			if tc.change != nil {
				tc.change(&spec)
			}
			_, err := Open(t.Context(), spec, Options{Secrets: tc.secrets})
			wantUserError(t, err, tc.want...)
			if strings.Contains(err.Error(), s.SecretKey) {
				t.Errorf("the message has the key: %v", err)
			}
		})
	}
}

// A bucket that is not there is said at once of every format, and of files that the URI names.
func TestNoSuchBucket(t *testing.T) {
	quickly(t, time.Hour)
	s := stores.StartS3(t)
	o := Options{Secrets: mounted(t, keys(s), s.CA)}
	for _, format := range allFormats {
		for _, path := range []string{"", "/data", "/{0..9}.tar"} {
			t.Run(string(format)+path, func(t *testing.T) {
				_, err := Open(t.Context(), s3Spec(s, "s3://none"+path, format), o)
				wantUserError(t, err, "s3://none", "there is no such bucket; correct spec.dataset.uri")
			})
		}
	}
}

// A server that dies amid a file, and comes back: reading goes on at the same byte, in little memory.
func TestS3ReadingGoesOnAfterAnOutage(t *testing.T) {
	quickly(t, time.Minute)
	s := stores.StartS3(t)
	want := make([]byte, 64<<20)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(want) // never fails
	write(t, filepath.Join(s.Root, "bucket", "large"), want)
	var warnings []string
	o := Options{Field: datasetField, Secrets: mounted(t, keys(s), s.CA), Warn: func(m string) { warnings = append(warnings, m) }}
	src, err := openS3(t.Context(), s3Spec(s, "s3://bucket", ""), o)
	if err != nil {
		t.Fatal(err)
	}
	const offset = 1000
	r, size, err := src.open(t.Context(), "large", offset)
	if err != nil || size != int64(len(want)) {
		t.Fatal(size, err)
	}
	defer r.Close()
	got := make([]byte, len(want)-offset)
	first := 1 << 20
	if _, err := io.ReadFull(r, got[:first]); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	var back sync.WaitGroup
	back.Go(func() {
		time.Sleep(300 * time.Millisecond)
		s.Start()
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = io.ReadFull(r, got[first:])
	runtime.ReadMemStats(&after)
	back.Wait()
	if err != nil || !bytes.Equal(got, want[offset:]) {
		t.Fatalf("what was read differs, or %v", err)
	}
	if n, err := r.Read(got); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %d bytes, %v", n, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("allocated %d MiB for a file of 64", allocated>>20)
	}
	if len(warnings) == 0 || !strings.Contains(warnings[0], "s3://bucket/large: ") || !strings.Contains(warnings[0], "trying again in") {
		t.Errorf("warnings %q", warnings)
	}
}

// A file that is another one after the outage is not glued to the first.
func TestS3FileThatChanges(t *testing.T) {
	quickly(t, time.Minute)
	s := stores.StartS3(t)
	file := filepath.Join(s.Root, "bucket", "large")
	write(t, file, make([]byte, 32<<20))
	src, err := openS3(t.Context(), s3Spec(s, "s3://bucket", ""), Options{Field: datasetField, Secrets: mounted(t, keys(s), s.CA)})
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := src.open(t.Context(), "large", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.Kill()
	write(t, file, make([]byte, 33<<20))
	s.Start()
	_, err = io.Copy(io.Discard, r)
	wantUserError(t, err, "s3://bucket/large changed while it was read")
}

// An outage that lasts is the storage's, not the data's: the operator tries the stage again.
func TestS3Outage(t *testing.T) {
	quickly(t, 300*time.Millisecond)
	s := stores.StartS3(t)
	formats(t, filepath.Join(s.Root, "bucket"))
	o := Options{Secrets: mounted(t, keys(s), s.CA), MemoryBytes: 1}
	lazy, err := Open(t.Context(), s3Spec(s, "s3://bucket/Images", v1alpha1.FormatImages), o)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	_, err = lazy.Image(0)
	wantStorageError(t, err, "s3://bucket/Images/0.jpg", "gave up after trying for", "connection refused")
	for _, format := range allFormats {
		_, err := Open(t.Context(), s3Spec(s, "s3://bucket/"+string(format), format), o)
		wantStorageError(t, err, "s3://bucket/"+string(format), "connection refused")
	}
	s.Start()
	if m, err := lazy.Image(0); err != nil || m.W != 8 {
		t.Errorf("after the outage: %v", err)
	}
}

// What ends a stage also ends its wait for a server that is away.
func TestS3OutageEndsWithTheStage(t *testing.T) {
	quickly(t, time.Hour)
	s := stores.StartS3(t)
	write(t, filepath.Join(s.Root, "bucket", "a.png"), pngOf(t, picture(8, 8, color.Gray{1})))
	stopped := contract.Errorf(contract.ExitTerminate, "Terminated", "stopped by SIGTERM")
	ctx, stop := context.WithCancelCause(t.Context())
	lazy, err := Open(ctx, s3Spec(s, "s3://bucket", v1alpha1.FormatImages), Options{Secrets: mounted(t, keys(s), s.CA), MemoryBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	time.AfterFunc(200*time.Millisecond, func() { stop(stopped) })
	if _, err := lazy.Image(0); !errors.Is(err, stopped) {
		t.Errorf("got %v", err)
	}
}
