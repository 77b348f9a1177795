package stage

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
)

// folder is an ImageFolder of 8 training and 4 test images in two classes.
func folder(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for i := range 12 {
		split := "train"
		if i >= 8 {
			split = "test"
		}
		dir := filepath.Join(root, split, fmt.Sprint("class", i%2))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		m := image.NewRGBA(image.Rect(0, 0, 8, 8))
		for at := range 64 {
			m.Set(at%8, at/8, color.RGBA{uint8(31 * i), uint8(at * (1 + i%2)), uint8(i + at), 255})
		}
		writePNG(t, filepath.Join(dir, fmt.Sprintf("%d.png", i)), m)
	}
	return root
}

func writePNG(t *testing.T, path string, m image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := png.Encode(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// tiny is a run of such images that takes a second.
func tiny(t *testing.T) *v1alpha1.SimCLRRun {
	return resolved(t, func(s *v1alpha1.SimCLRRunSpec) {
		s.Dataset = v1alpha1.DatasetSpec{URI: "pvc://images", Format: v1alpha1.FormatImageFolder, ImageSize: new(int32(8))}
		s.Encoder = v1alpha1.EncoderSpec{Depth: 18, WidthMultiplier: "0.05"}
		s.BatchSize, s.Pretraining.Epochs, s.KNN.Neighbors = 4, new(int32(1)), 2
	})
}

// counted is an engine that counts what is compiled and not closed.
type counted struct {
	engine.Engine
	open, most int
}

type countedExecutable struct {
	engine.Executable
	of *counted
}

func (c *counted) Compile(p engine.Program) (engine.Executable, error) {
	x, err := c.Engine.Compile(p)
	if err != nil {
		return nil, err
	}
	c.open++
	c.most = max(c.most, c.open)
	return countedExecutable{x, c}, nil
}

func (x countedExecutable) Close() error {
	x.of.open--
	return x.Executable.Close()
}

// starved is an engine that has no memory.
type starved struct {
	engine.Engine
	err error
}

func (s starved) Compile(engine.Program) (engine.Executable, error) { return nil, s.err }

// The user is told the micro-batch that fits.
func TestOutOfMemoryNamesTheMicroBatchThatFits(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"the machine's":     {&cpu.OutOfMemoryError{Bytes: 1 << 40, Had: 16 << 20}, []string{"batchSize 4", "set pretraining.microBatchSize to 2,"}},
		"the accelerator's": {&xla.OutOfMemoryError{Err: errors.New("RESOURCE_EXHAUSTED")}, []string{"does not fit the accelerator's memory: set pretraining.microBatchSize to 2,", "(RESOURCE_EXHAUSTED)"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := opened(t, tiny(t), folder(t), "interp")
			r.engine = starved{r.engine, tc.err}
			_, err := r.dispatch(t.Context())
			var e *contract.Error
			if !errors.As(err, &e) || e.Code != contract.ExitUserError || e.Reason != "OutOfMemory" {
				t.Errorf("got %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want it to say %q", err, want)
				}
			}
		})
	}
}

// The training step's memory is free before kNN compiles its own: network and NT-Xent are the most there is.
func TestPretrainingFreesItsMemoryBeforeKNN(t *testing.T) {
	r := opened(t, tiny(t), folder(t), "interp")
	c := &counted{Engine: r.engine}
	r.engine = c
	results, err := r.dispatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if results.KNNTop1 == "" || results.PretrainingLoss == "" {
		t.Errorf("results %+v", results)
	}
	if c.open != 0 || c.most != 2 {
		t.Errorf("%d executables at once, %d left open", c.most, c.open)
	}
}
