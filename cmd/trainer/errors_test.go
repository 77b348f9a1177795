package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/test/host"
)

func TestUserErrors(t *testing.T) {
	good := generated(t, 2, 8, 4)
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "not the file") }))
	t.Cleanup(mirror.Close) // after the parallel subtests
	cifar := strings.Replace(spec, "ImageFolder", "CIFAR", 1)
	known := strings.Replace(spec, "uri: pvc://claim/, format: ImageFolder", "name: fashion-mnist", 1)
	for name, tc := range map[string]struct {
		spec     string // all of it; empty: the usual one with more
		more     string
		args     []string
		wantCode int // 0: 10, the user's error
		want     []string
	}{
		"unknown dataset":         {spec: strings.Replace(known, "fashion-mnist", "imagenot", 1), want: []string{"spec.dataset.name", "fashion-mnist"}},
		"unknown field":           {more: "  bacthSize: 8\n", want: []string{"bacthSize"}},
		"missing directory":       {args: []string{"--dataset", filepath.Join(good, "nothing")}, want: []string{"--dataset", "does not exist"}},
		"a claim, no cluster":     {want: []string{"dataset.uri pvc://claim/", "--dataset"}},
		"missing file":            {spec: known, args: []string{"--dataset", good}, want: []string{"train-images-idx3-ubyte"}},
		"missing split":           {args: []string{"--dataset", filepath.Join(good, "train")}, want: []string{"train", "does not exist"}},
		"wrong checksum":          {spec: known, args: []string{"--dataset-mirror", mirror.URL}, want: []string{"not the file that was expected", "mirror"}},
		"truncated file":          {spec: cifar, args: []string{"--dataset", truncatedCIFAR(t)}, want: []string{"data_batch_1.bin", "get the file again"}},
		"truncated archive":       {spec: cifar, args: []string{"--dataset", truncatedArchive(t)}, want: []string{"cifar-10-binary.tar.gz", "unexpected EOF", "get the archive again"}},
		"one class":               {args: []string{"--dataset", generated(t, 1, 16, 4)}, want: []string{"one class", "at least two", "linearEvaluation"}},
		"too many corrupt":        {args: []string{"--dataset", corrupt(t, generated(t, 2, 20, 4), 12)}, want: []string{"12 of 40", "class1/000.png", "repair or remove"}},
		"too many corrupt, JPEG":  {args: []string{"--dataset", corrupt(t, photographs(t, 20, 4), 2)}, want: []string{"2 of 60", ".jpg", "repair or remove"}},
		"fewer than the batch":    {args: []string{"--dataset", generated(t, 2, 3, 4)}, want: []string{"batchSize 8", "at most 6"}},
		"fewer than the limit":    {spec: strings.Replace(spec, "imageSize: 8", "imageSize: 8, limit: 1000000", 1), args: []string{"--dataset", good}, want: []string{"limit", "16"}},
		"absurd batch":            {spec: strings.Replace(spec, "batchSize: 8", "batchSize: 80000", 1), want: []string{"batchSize"}},
		"absurd image":            {spec: strings.Replace(spec, "imageSize: 8", "imageSize: 51200", 1), want: []string{"imageSize"}},
		"absurd width":            {spec: strings.Replace(spec, `"0.125"`, `"1e9"`, 1), want: []string{"widthMultiplier"}},
		"more memory than any":    {spec: strings.NewReplacer("imageSize: 8", "imageSize: 512", `"0.125"`, `"8", stem: CIFAR`).Replace(spec), args: []string{"--dataset", generated(t, 2, 8, 1)}, want: []string{"memory", "widthMultiplier"}},
		"no engine":               {more: "  accelerator: {type: NvidiaGPU}\n", args: []string{"--dataset", good}, want: []string{"no engine for NvidiaGPU in this image", "accelerator.type"}},
		"absurd learning rate":    {more: "  pretraining: {epochs: 100, warmupEpochs: 0, optimizer: SGD, weightDecay: \"1\", learningRate: \"100\"}\n", args: []string{"--dataset", good}, wantCode: contract.ExitDiverged, want: []string{"diverged", "learningRate"}},
		"other files in output":   {args: []string{"--dataset", good, "--output", good}, want: []string{"not empty"}},
		"no file":                 {args: []string{"-f", "nothing.yaml"}, want: []string{"nothing.yaml"}},
		"unknown flag":            {args: []string{"--epochs", "3"}, want: []string{"--epochs", "--help"}},
		"no workers":              {args: []string{"--workers", "0"}, want: []string{"--workers 0", "from 1"}},
		"workers without threads": {args: []string{"--workers", "2"}, want: []string{"--workers 2", "--threads to at least 2"}},
		"workers on a GPU":        {more: "  accelerator: {type: NvidiaGPU}\n", args: []string{"--workers", "2", "--threads", "2"}, want: []string{"--workers 2", "accelerator.type NvidiaGPU"}},
		"a batch not for workers": {args: []string{"--dataset", good, "--workers", "3", "--threads", "3"}, want: []string{"batchSize 8", "--workers 3"}},
		"micro-batches too large": {more: "  pretraining: {microBatchSize: 8, batchNormStatistics: MicroBatch}\n", args: []string{"--dataset", good, "--workers", "2", "--threads", "2"}, want: []string{"pretraining.microBatchSize 8", "4 images", "2 workers"}},
		"no threads":              {args: []string{"--threads", "0"}, want: []string{"--threads"}},
		"an encoder is not there": {more: "  pretraining: {from: {run: other}}\n", args: []string{"--dataset", good}, want: []string{"pretraining.from.run", "--encoder"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.spec == "" {
				tc.spec = spec
			}
			if tc.wantCode == 0 {
				tc.wantCode = contract.ExitUserError
			}
			file := write(t, filepath.Join(t.TempDir(), "run.yaml"), tc.spec+tc.more)
			out := filepath.Join(t.TempDir(), "out")
			args := append([]string{"run", "-f", file, "-o", out, "--cache", t.TempDir(), "--threads", "1"}, tc.args...)
			trainer(t, args...).wants(t, tc.wantCode, tc.want...)
		})
	}
	trainer(t, "valdate").wants(t, contract.ExitUserError, "valdate", "do you mean validate?")
}

// truncatedCIFAR is a directory of CIFAR-10's binary files, the first one cut within an image.
func truncatedCIFAR(t *testing.T) string {
	dir := t.TempDir()
	for _, name := range []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"} {
		n := 3073 * 4
		if name == "data_batch_1.bin" {
			n -= 100
		}
		write(t, filepath.Join(dir, name), strings.Repeat("\x01", n))
	}
	return dir
}

// truncatedArchive is a directory of CIFAR-10's archive, the file cut.
func truncatedArchive(t *testing.T) string {
	var raw bytes.Buffer
	z := gzip.NewWriter(&raw)
	files := tar.NewWriter(z)
	for _, name := range []string{"data_batch_1.bin", "test_batch.bin"} {
		image := make([]byte, 3073)
		for i := range image[1:] {
			image[i+1] = byte(i * i) // so that it does not compress to nothing
		}
		err := files.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + name, Mode: 0o644, Size: int64(len(image))})
		if _, e := files.Write(image); err != nil || e != nil {
			t.Fatal(err, e)
		}
	}
	if err := errors.Join(files.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(write(t, filepath.Join(t.TempDir(), "cifar-10-binary.tar.gz"), raw.String()[:raw.Len()/2]))
}

// corrupt cuts the first n training images of an ImageFolder's second class short.
func corrupt(t *testing.T, dir string, n int) string {
	t.Helper()
	classes, err := filepath.Glob(filepath.Join(dir, "train", "*"))
	if err != nil {
		t.Fatal(err)
	}
	images, err := filepath.Glob(filepath.Join(classes[1], "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range images[:n] {
		whole := read(t, path)
		write(t, path, whole[:len(whole)*9/10])
	}
	return dir
}

// One bad file among good ones is skipped, counted, and named with what is wrong.
func TestACorruptImageIsSkippedAndCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		dir, more, file string
	}{
		"JPEG": {corrupt(t, photographs(t, 20, 4), 1), shortStages, "train/cat/"},
		"PNG":  {corrupt(t, generated(t, 2, 20, 4), 1), pretrainOnly, "train/class1/000.png"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			e := trainer(t, "run", "-f", runFile(t, tc.more), "--dataset", tc.dir, "-o", out)
			e.wants(t, contract.ExitDone, "warning: 1 image file is bad and is skipped", tc.file, "images skipped       1")
			if n := strings.Count(e.out+e.stderr, "warning:"); n != 1 {
				t.Errorf("%v\n%d warnings, want one", e, n)
			}
			if results := read(t, filepath.Join(out, "results.json")); !strings.Contains(results, `"skippedImages": 1`) {
				t.Errorf("results %s", results)
			}
		})
	}
}

func TestOneClassIsEnoughForPretraining(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	trainer(t, "run", "-f", runFile(t, pretrainOnly), "--dataset", generated(t, 1, 16, 0), "-o", out).wants(t, contract.ExitDone, "pretraining loss")
}

func TestAReadOnlyDisk(t *testing.T) {
	dir := host.Disk(t, 64000)
	host.Remount(t, dir, syscall.MS_RDONLY, "")
	args := []string{"run", "-f", runFile(t, shortStages), "--dataset", generated(t, 2, 8, 4), "-o", filepath.Join(dir, "out")}
	trainer(t, args...).wants(t, contract.ExitStorage, "read-only")
}
