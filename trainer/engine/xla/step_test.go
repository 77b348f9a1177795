package xla

import (
	"fmt"
	"slices"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

const temperature = 0.5

// outcome is a step's results by name: z, the loss, each gradient, and each variable after an update.
type outcome map[string][]float32

// inParts makes a step in the programs that several workers or micro-batches need.
func inParts(t *testing.T, e engine.Engine, c model.Config, images int, o optimizer.Config) outcome {
	t.Helper()
	p, err := model.Contrastive(c, images, o)
	if err != nil {
		t.Fatal(err)
	}
	net := compiled(t, e, p)
	lp, err := model.NTXent(2*images, c.Dimension, temperature)
	if err != nil {
		t.Fatal(err)
	}
	loss, err := e.Compile(lp)
	if err != nil {
		t.Fatal(err)
	}
	z := run(t, net, model.Forward, optest.Views(images, c.ImageSize))[0]
	l := run(t, loss, 0, z, engine.Scalar(1))
	got := outcome{"loss": slices.Clone(l[0].Data), "accuracy": slices.Clone(l[1].Data), "z": slices.Clone(z.Data)} // the next run may overwrite them
	grads := run(t, net, model.Backward, l[2])
	for i, g := range grads {
		got["gradient of "+p.Parameters[i].Name] = slices.Clone(g.Data)
	}
	run(t, net, model.Update, append([]engine.Tensor{engine.Scalar(0.1)}, grads...)...)
	got.variables(t, p, net)
	closed(t, net, loss)
	return got
}

// atOnce makes a step in one program.
func atOnce(t *testing.T, e engine.Engine, c model.Config, images int, o optimizer.Config) outcome {
	t.Helper()
	p, err := model.Whole(c, images, temperature, o)
	if err != nil {
		t.Fatal(err)
	}
	x := compiled(t, e, p)
	out := run(t, x, 0, optest.Views(images, c.ImageSize), engine.Scalar(1), engine.Scalar(0.1))
	got := outcome{"loss": slices.Clone(out[0].Data), "accuracy": slices.Clone(out[1].Data), "z": slices.Clone(onHost(t, x, out[2]).Data)}
	got.variables(t, p, x)
	closed(t, x)
	return got
}

func compiled(t *testing.T, e engine.Engine, p *model.Program) engine.Executable {
	t.Helper()
	x, err := e.Compile(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parameters {
		if err := x.Set(q.Name, q.Draw(1)); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func run(t *testing.T, x engine.Executable, segment int, feeds ...engine.Tensor) []engine.Tensor {
	t.Helper()
	out, err := x.Run(segment, feeds...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// onHost is a fetch, of devices read from them.
func onHost(t *testing.T, x engine.Executable, v engine.Tensor) engine.Tensor {
	t.Helper()
	if v.Remote == nil {
		return v
	}
	v, err := x.(engine.Remote).Read(v)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func closed(t *testing.T, xs ...engine.Executable) {
	t.Helper()
	for _, x := range xs {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}

func (o outcome) variables(t *testing.T, p *model.Program, x engine.Executable) {
	t.Helper()
	for _, v := range p.Variables {
		if v.Next == nil {
			continue
		}
		now, err := x.Get(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		o[v.Name+" after"] = now.Data
	}
}

// differences of an outcome from the one wanted.
func (o outcome) differences(t *testing.T, want outcome, within float64) {
	t.Helper()
	if len(o) == 0 {
		t.Fatal("no results")
	}
	for name, v := range o {
		w, ok := want[name]
		if !ok {
			t.Errorf("%s is not wanted", name)
			continue
		}
		if d := optest.Far(v, w); !(d < within) {
			t.Errorf("%s differs by %.1e of the largest value", name, d)
		}
	}
}

func small() model.Config {
	return model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 16, Dimension: 32, OutputShift: true, Smooth: true}
}

var lars = optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4}

// float32 results of float64 arithmetic.
const rounding = 1e-6

// On one device or several, in one program or in parts: the same step in float64. Batch norm and NT-Xent see all devices'
// images.
func TestStepOnSeveralDevices(t *testing.T) {
	c, plain := small(), optimizer.Config{Kind: "Plain"}
	c.Width, c.ImageSize = 0.05, 8
	want := inParts(t, interp.Engine{}, c, 8, plain)
	whole := atOnce(t, interp.Engine{}, c, 8, plain)
	whole.differences(t, want, rounding)
	for _, devices := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			e := newEngine(t, devices, true)
			atOnce(t, e, c, 8, plain).differences(t, want, rounding)
			inParts(t, e, c, 8, plain).differences(t, want, rounding)
		})
	}
}

// Whole networks in float32 against engine/cpu.
func TestStepAgainstCPU(t *testing.T) {
	e := newEngine(t, 1, false)
	other, err := cpu.New(2)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	bottlenecks := small()
	bottlenecks.Depth, bottlenecks.Stem, bottlenecks.ImageSize = 50, "ImageNet", 40
	for name, tc := range map[string]struct {
		c    model.Config
		step func(*testing.T, engine.Engine, model.Config, int, optimizer.Config) outcome
	}{
		"ResNet-18": {small(), inParts},
		"ResNet-50": {bottlenecks, atOnce}, // momenta are its gradients, scaled
	} {
		t.Run(name, func(t *testing.T) {
			tc.step(t, e, tc.c, 8, lars).differences(t, inParts(t, other, tc.c, 8, lars), 1e-4)
		})
	}
}

// With ReLU, where a rounding can flip a unit at zero, gradients point where they should.
func TestStepWithReLUAgainstCPU(t *testing.T) {
	c := small()
	c.Smooth = false
	other, err := cpu.New(2)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	want, got := inParts(t, other, c, 8, lars), inParts(t, newEngine(t, 1, false), c, 8, lars)
	for _, name := range []string{"loss", "z"} {
		if d := optest.Far(got[name], want[name]); !(d < 1e-4) {
			t.Errorf("%s differs by %.1e of the largest value", name, d)
		}
	}
	for name, g := range got {
		if cos := optest.Cosine(g, want[name]); name[0] == 'g' && !(cos > 0.999) {
			t.Errorf("%s: cosine %.5f", name, cos)
		}
	}
}
