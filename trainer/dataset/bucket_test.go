package dataset

import (
	"context"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/stores"
)

// quickly makes what is tried again be tried soon, and given up soon.
func quickly(t *testing.T, giveUp time.Duration) {
	t.Helper()
	first, longest, all, names := firstBackoff, longestWait, patience, namePatience
	t.Cleanup(func() { firstBackoff, longestWait, patience, namePatience = first, longest, all, names })
	firstBackoff, longestWait, patience, namePatience = 20*time.Millisecond, 100*time.Millisecond, giveUp, 200*time.Millisecond
}

// formats is a folder with a small dataset of every format, each in a folder of its name.
func formats(t *testing.T, root string) {
	t.Helper()
	for _, split := range []string{"train", "test"} {
		for i, class := range []string{"cat", "dog"} {
			for n := range 3 {
				write(t, filepath.Join(root, "ImageFolder", split, class, fmt.Sprintf("%d.png", n)), pngOf(t, picture(8, 8, color.Gray{uint8(100*i + n)})))
			}
		}
	}
	for n := range 4 {
		write(t, filepath.Join(root, "Images", fmt.Sprintf("%d.jpg", n)), jpegOf(t, picture(8, 8, color.Gray{uint8(n)})))
	}
	for _, prefix := range []string{"train", "t10k"} {
		write(t, filepath.Join(root, "IDX", prefix+"-images-idx3-ubyte.gz"), gzipped(t, idxOf(make([]byte, 3*4), 3, 2, 2)))
		write(t, filepath.Join(root, "IDX", prefix+"-labels-idx1-ubyte"), idxOf([]byte{0, 1, 2}, 3))
	}
	for k, name := range []string{"train-0.tar", "train/1.tar", "val-0.tar"} {
		write(t, filepath.Join(root, "WebDataset", name), tarOf(t, samplesOf(t, 4*k, 4)...))
	}
	for i := range 5 {
		write(t, filepath.Join(root, "CIFAR", fmt.Sprintf("data_batch_%d.bin", i+1)), records(byte(i), byte(i+5)))
	}
	write(t, filepath.Join(root, "CIFAR", "test_batch.bin"), records(0, 1))
}

// wantSame: two sets have the same images, labels and classes.
func wantSame(t *testing.T, want, got *Set) {
	t.Helper()
	if diff := cmp.Diff(want.classes, got.classes); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.labels, got.labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	for i := range min(want.Len(), got.Len()) {
		a, errA := want.Image(i)
		b, errB := got.Image(i)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if diff := cmp.Diff(a.Pix, b.Pix); diff != "" {
			t.Errorf("image %d (-want +got):\n%s", i, diff)
		}
	}
}

// wantAsLocal opens every format and split of a store, also where no image fits into memory, and compares it with the
// same files in a directory.
func wantAsLocal(t *testing.T, root string, only []v1alpha1.DatasetFormat, spec v1alpha1.DatasetSpec, o Options) {
	t.Helper()
	base := spec.URI
	for _, format := range only {
		for _, split := range []Split{Train, Test} {
			if format == v1alpha1.FormatImages && split == Test {
				continue
			}
			for _, memory := range []int64{0, 8 * 8 * 3 * 2, 1} {
				if memory != 0 && (format == v1alpha1.FormatIDX || format == v1alpha1.FormatCIFAR) {
					continue // are in memory as a whole
				}
				t.Run(fmt.Sprintf("%s %s %d", format, split, memory), func(t *testing.T) {
					o.Split, o.MemoryBytes, o.Workers = split, memory, 2
					want := mustOpen(t, filepath.Join(root, string(format)), format, 0, Options{Split: split})
					spec.URI, spec.Format, spec.Labels = base+"/"+string(format), format, v1alpha1.LabelsFromFormat
					got, err := Open(t.Context(), spec, o)
					if err != nil {
						t.Fatal(err)
					}
					wantSame(t, want, got)
				})
			}
		}
	}
}

var allFormats = []v1alpha1.DatasetFormat{v1alpha1.FormatImageFolder, v1alpha1.FormatImages, v1alpha1.FormatIDX, v1alpha1.FormatCIFAR, v1alpha1.FormatWebDataset}

// mounted are the secrets of a pod, as the operator mounts them.
func mounted(t *testing.T, values map[string]string, ca string) string {
	t.Helper()
	dir := t.TempDir()
	for key, value := range values {
		write(t, filepath.Join(dir, contract.DatasetSecrets, contract.CredentialsDir, key), []byte(value+"\n"))
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, contract.DatasetSecrets, contract.CADir, contract.CAFile), pem)
	return dir
}

func keys(s *stores.S3) map[string]string {
	return map[string]string{accessKeyID: s.AccessKey, secretAccessKey: s.SecretKey}
}

// spec of a dataset of a server of S3's protocol, as a user of a cluster writes it.
func s3Spec(s *stores.S3, uri string, format v1alpha1.DatasetFormat) v1alpha1.DatasetSpec {
	return v1alpha1.DatasetSpec{
		URI: uri, Format: format, Labels: v1alpha1.LabelsFromFormat, Endpoint: s.Endpoint,
		Credentials: &v1alpha1.SecretReference{Name: "s3"},
		CABundle:    &v1alpha1.CABundleReference{Kind: v1alpha1.BundleConfigMap, Name: "ca", Key: "ca.crt"},
	}
}

func TestS3(t *testing.T) {
	quickly(t, 10*time.Second)
	s := stores.StartS3(t)
	for _, prefix := range []string{"bucket", "bucket/a/b c"} {
		formats(t, filepath.Join(s.Root, prefix))
	}
	o := Options{Secrets: mounted(t, keys(s), s.CA)}
	for name, prefix := range map[string]string{"in the bucket": "bucket", "below a prefix": "bucket/a/b c"} {
		t.Run(name, func(t *testing.T) {
			wantAsLocal(t, filepath.Join(s.Root, prefix), allFormats, s3Spec(s, "s3://"+prefix, ""), o)
		})
	}
}

// Shards of a bucket that do not fit into memory are read whole, one after the other, and give the batches that they would
// give in memory.
func TestShardsOfS3(t *testing.T) {
	quickly(t, 10*time.Second)
	s := stores.StartS3(t)
	dir := noisy(t, 8)
	if err := os.CopyFS(filepath.Join(s.Root, "bucket", "shards"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	windows(t, 700_000)
	got, err := Open(t.Context(), s3Spec(s, "s3://bucket/shards", v1alpha1.FormatWebDataset),
		Options{Secrets: mounted(t, keys(s), s.CA), MemoryBytes: 3 << 20, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := batchesOf(t, mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{}), 0, 0, 1)
	if diff := cmp.Diff(want[30:], batchesOf(t, got, 1, 6, 4)); diff != "" || got.single == nil {
		t.Error(diff)
	}
}

// With no cluster the credentials are where the tools of AWS have them.
func TestS3WithNoCluster(t *testing.T) {
	quickly(t, 10*time.Second)
	s := stores.StartS3(t)
	formats(t, filepath.Join(s.Root, "bucket"))
	t.Setenv(accessKeyID, s.AccessKey)
	t.Setenv(secretAccessKey, s.SecretKey)
	wantAsLocal(t, filepath.Join(s.Root, "bucket"), []v1alpha1.DatasetFormat{v1alpha1.FormatImages},
		s3Spec(s, "s3://bucket", ""), Options{CABundle: s.CA})
}

func TestGCS(t *testing.T) {
	quickly(t, 10*time.Second)
	root := t.TempDir()
	formats(t, filepath.Join(root, "bucket", "data"))
	t.Setenv("STORAGE_EMULATOR_HOST", stores.StartGCS(t, root).Host)
	wantAsLocal(t, filepath.Join(root, "bucket", "data"), allFormats, v1alpha1.DatasetSpec{URI: "gs://bucket/data"}, Options{})
	for name, uri := range map[string]string{"no such folder": "gs://bucket/none", "no such bucket": "gs://none/data"} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), v1alpha1.DatasetSpec{URI: uri, Format: v1alpha1.FormatImages}, Options{})
			wantUserError(t, err, "spec.dataset.uri", uri, "correct")
		})
	}
}

// A listing comes in pages of a thousand.
func TestS3ListsManyObjects(t *testing.T) {
	quickly(t, 10*time.Second)
	s := stores.StartS3(t)
	const n = 10_000
	for i := range n {
		write(t, filepath.Join(s.Root, "bucket", "many", fmt.Sprintf("%05d.jpg", i)), nil)
	}
	write(t, filepath.Join(s.Root, "bucket", "many", "folder", "x"), nil)
	o := Options{Field: datasetField, Secrets: mounted(t, keys(s), s.CA)}
	src, err := openS3(t.Context(), s3Spec(s, "s3://bucket", ""), o)
	if err != nil {
		t.Fatal(err)
	}
	files, err := imageFiles(t.Context(), src, "many")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != n || files[0] != "many/00000.jpg" || files[n-1] != "many/09999.jpg" {
		t.Errorf("listed %d files, %s to %s", len(files), files[0], files[len(files)-1])
	}
	entries, err := src.list(context.Background(), "many")
	if err != nil || len(entries) != n+1 || !entries[n].IsDir() || entries[n].Name() != "folder" {
		t.Errorf("listed %d entries, %v", len(entries), err)
	}
}
