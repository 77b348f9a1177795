// Command step runs trainer/pretrain's contrastive step on the same views again and again: forward, NT-Xent, backward and
// LARS. Like step_torch.py it tells that it is ready, then for each line with a number on its standard input the
// seconds of so many steps.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
)

type options struct {
	depth, size, images, threads int
	stem, precision              string
	shift                        bool
	plugin, cache                string
	workers
}

// answer to a line.
type answer struct {
	Ready   bool      `json:"ready,omitempty"`
	Seconds []float64 `json:"seconds,omitempty"`
	Loss    float64   `json:"loss,omitempty"`
	Peak    int64     `json:"peakBytes,omitempty"`
	waits
}

func main() {
	var o options
	flag.IntVar(&o.depth, "depth", 18, "of the ResNet")
	flag.StringVar(&o.stem, "stem", "CIFAR", "CIFAR or ImageNet")
	flag.IntVar(&o.size, "size", 32, "pixels")
	flag.IntVar(&o.images, "images", 64, "source images of a step: half its views")
	flag.StringVar(&o.precision, "precision", "fp32", "fp32 or bf16")
	flag.IntVar(&o.threads, "threads", 2, "compute threads")
	flag.StringVar(&o.plugin, "plugin", "", "of the accelerator that computes; empty: the CPU does")
	flag.StringVar(&o.cache, "cache", "", "directory of programs that an accelerator's plugin has compiled; empty: none is kept")
	flag.BoolVar(&o.shift, "output-shift", true, "batch norm after the head's last layer has a shift")
	o.flags()
	flag.Parse()
	if err := serve(o); err != nil {
		fmt.Fprintln(os.Stderr, "step:", err)
		os.Exit(1)
	}
}

func serve(o options) error {
	e, err := newEngine(o)
	if err != nil {
		return err
	}
	c, err := config(o)
	if err != nil {
		return err
	}
	group, err := o.connect()
	if err != nil {
		return err
	}
	together := &timed{Collective: group, z: 2 * o.images * c.Model.Dimension}
	s, err := pretrain.NewStepper(e, c, together.overlapping(o.overlap))
	if err != nil {
		return err
	}
	views := engine.NewTensor(2*o.images, 3, o.size, o.size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range views.Data {
		views.Data[i] = r.Float32()
	}
	if _, err := steps(s, views, together, 2); err != nil {
		return err
	}
	if err := resetPeak(); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{Ready: true}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		a, err := steps(s, views, together, n)
		if err != nil {
			return err
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// config is the paper's step at width 1, with step_torch.py's initialisation.
func config(o options) (pretrain.Config, error) {
	precision, ok := map[string]engine.Precision{"fp32": engine.FP32, "bf16": engine.BF16}[o.precision]
	if !ok {
		return pretrain.Config{}, fmt.Errorf("precision %s: the trainer has fp32 and bf16", o.precision)
	}
	return pretrain.Config{
		Model: model.Config{
			Depth: o.depth, Width: 1, Stem: o.stem, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: o.size, Dimension: 128, OutputShift: o.shift,
			Precision: precision,
		},
		Images: o.images, Statistics: v1alpha1.BatchNormStatistics(o.statistics), Temperature: 0.5, Optimizer: optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4},
	}, nil
}

// newEngine is the CPU's, or of one device of an accelerator.
func newEngine(o options) (engine.Engine, error) {
	if o.plugin == "" {
		return cpu.New(o.threads)
	}
	return xla.New(xla.Options{Plugin: o.plugin, Devices: 1, Cache: o.cache}) // as JAX does, unless it is told otherwise
}

// resident are views for so many steps, on the accelerator where there is one: those of a step are freed with it.
func resident(s *pretrain.Stepper, views engine.Tensor, n int) ([]engine.Tensor, error) {
	all := slices.Repeat([]engine.Tensor{views}, n)
	place := s.Placer()
	if place == nil {
		return all, nil
	}
	var err error
	for i := range all {
		if all[i], err = place(views); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func steps(s *pretrain.Stepper, views engine.Tensor, w *timed, n int) (a answer, err error) {
	w.waits = waits{}
	all, err := resident(s, views, n)
	if err != nil {
		return a, err
	}
	for _, views := range all {
		start := time.Now()
		m, err := s.Step(context.Background(), pretrain.Whole(views), 0.1)
		if err != nil {
			return a, err
		}
		w.Reduce += s.Waited().Seconds()
		a.Seconds, a.Loss = append(a.Seconds, time.Since(start).Seconds()), m.Loss
	}
	a.waits = w.mean(n)
	a.Peak, err = peak()
	return a, err
}

// resetPeak makes the peak what is resident now (proc(5), clear_refs).
func resetPeak() error { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// peak is how many bytes were resident at once since resetPeak.
func peak() (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kibi, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 10, 64)
			return kibi << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}
