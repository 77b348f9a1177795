package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// program is the built simclr-trainer: what a user and a pod start.
var program string

func TestMain(m *testing.M) {
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "simclr-trainer-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "simclr-trainer")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// ended is a command that has ended.
type ended struct {
	code        int
	out, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d\n%s%s", e.code, e.out, e.stderr)
}

// command is the program with two threads, so that the tests show that two are deterministic.
func command(args ...string) (*exec.Cmd, *bytes.Buffer, *bytes.Buffer) {
	c := exec.Command(program, args...)
	var out, stderr bytes.Buffer
	c.Stdout, c.Stderr = &out, &stderr
	c.Env = append(os.Environ(), "SIMCLR_THREADS=2")
	return c, &out, &stderr
}

func trainer(t *testing.T, args ...string) ended {
	t.Helper()
	c, out, stderr := command(args...)
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{c.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// wants checks a command's exit code and that it told a person so.
func (e ended) wants(t *testing.T, code int, text ...string) {
	t.Helper()
	t.Log(e)
	if e.code != code {
		t.Errorf("want exit code %d", code)
	}
	for _, s := range text {
		if !strings.Contains(e.out+e.stderr, s) {
			t.Errorf("want it to say %q", s)
		}
	}
}

// write writes a file and gives its name.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// spec is a run of a few steps on an ImageFolder of 8-pixel images; more is added to its spec.
const spec = `
apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {name: tiny}
spec:
  dataset: {uri: pvc://claim/, format: ImageFolder, imageSize: 8}
  encoder: {widthMultiplier: "0.125"}
  batchSize: 8
`

func runFile(t *testing.T, more string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "run.yaml"), spec+more)
}

// shortStages are all stages, each as short as can be.
const shortStages = `
  pretraining: {epochs: 1}
  linearEvaluation: {epochs: 1}
  finetuning: [{name: half, labelFraction: "0.5", epochs: 1}]
`

// pretrainOnly is a run without labels.
const pretrainOnly = "  pretraining: {epochs: 1}\n  knn: {mode: Disabled}\n  linearEvaluation: {mode: Disabled}\n"

// generated is an ImageFolder of PNG images of 8 pixels, noise around a colour of each class.
func generated(t *testing.T, classes, train, test int) string {
	t.Helper()
	names := make([]string, classes)
	for c := range names {
		names[c] = fmt.Sprintf("class%d", c)
	}
	return noise(t, names, train, test, 8, ".png", png.Encode)
}

func noise(t *testing.T, classes []string, train, test, size int, ending string, encode func(io.Writer, image.Image) error) string {
	t.Helper()
	dir, r := t.TempDir(), rand.New(rand.NewPCG(7, 8))
	for _, split := range []struct {
		name string
		n    int
	}{{"train", train}, {"test", test}} {
		for c, class := range classes {
			for i := range split.n {
				m := image.NewNRGBA(image.Rect(0, 0, size, size))
				for p := range size * size {
					m.Set(p%size, p/size, color.NRGBA{uint8(40*c + r.IntN(60)), uint8(r.IntN(256)), uint8(200 - 40*c), 255})
				}
				var raw bytes.Buffer
				if err := encode(&raw, m); err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, split.name, class, fmt.Sprintf("%03d%s", i, ending)), raw.String())
			}
		}
	}
	return dir
}

// photographs are the first images of three classes of CIFAR-10 as JPEG; where that is not there, noise.
func photographs(t *testing.T, train, test int) string {
	t.Helper()
	classes := []string{"airplane", "cat", "ship"}
	data := os.Getenv("SIMCLR_TEST_DATA")
	if data == "" {
		t.Log("no real photographs: SIMCLR_TEST_DATA is not set")
		return noise(t, classes, train, test, 32, ".jpg", func(w io.Writer, m image.Image) error { return jpeg.Encode(w, m, nil) })
	}
	f, err := os.Open(filepath.Join(data, "cifar10-jpeg.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir, files := t.TempDir(), tar.NewReader(z)
	left := map[string]int{}
	for _, class := range classes {
		left["train/"+class], left["test/"+class] = train, test
	}
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		within := filepath.Dir(strings.TrimPrefix(h.Name, "./"))
		if left[within] == 0 || h.Typeflag != tar.TypeReg {
			continue
		}
		left[within]--
		raw, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, within, filepath.Base(h.Name)), string(raw))
	}
}
