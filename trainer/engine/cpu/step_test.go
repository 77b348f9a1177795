package cpu

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// stepper runs contrastive steps on one engine.
type stepper struct {
	t           testing.TB
	p           *model.Program
	net, ntxent engine.Executable
}

func newStepper(t testing.TB, e engine.Engine, c model.Config, images int, o optimizer.Config) *stepper {
	t.Helper()
	p, err := model.Contrastive(c, images, o)
	if err != nil {
		t.Fatal(err)
	}
	s := &stepper{t: t, p: p}
	if s.net, err = e.Compile(p.Program); err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parameters {
		if err := s.net.Set(q.Name, q.Draw(1)); err != nil {
			t.Fatal(err)
		}
	}
	lp, err := model.NTXent(2*images, c.Dimension, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	if s.ntxent, err = e.Compile(lp); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stepper) run(x engine.Executable, segment int, feeds ...engine.Tensor) []engine.Tensor {
	s.t.Helper()
	out, err := x.Run(segment, feeds...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// step gives z, the loss and every gradient, and updates with a learning rate.
func (s *stepper) step(views engine.Tensor, lr float32) (z, loss engine.Tensor, grads []engine.Tensor) {
	z = s.run(s.net, model.Forward, views)[0]
	out := s.run(s.ntxent, 0, z, engine.Scalar(1))
	grads = s.run(s.net, model.Backward, out[2])
	s.run(s.net, model.Update, append([]engine.Tensor{engine.Scalar(lr)}, grads...)...)
	return z, out[0], grads
}

// Bounds of a whole step's error, of a tensor's largest value, on a fixed batch. They are close to what float32 allows
// in 18 layers: on other batches it can be 2e-5, of PyTorch's float32 too (package pytorch). Deeper networks may lose a
// little more, and selective kernels twice that: fc_reduce sees averages that hardly differ from image to image, behind
// a batch norm that looks at nothing but their differences (5e-5 in PyTorch's float32).
const (
	stepDirect   = 1e-5
	stepWinograd = 5e-5
	deeper       = 6
	selects      = 2
)

func TestWholeStepAgainstInterpreter(t *testing.T) {
	const images = 8
	engines := map[string]*Engine{"direct": newEngine(t, Direct), "Winograd": newEngine(t)}
	bounds := map[string]float64{"direct": stepDirect, "Winograd": stepWinograd}
	for name, change := range map[string]func(c *model.Config){
		"smooth":            func(*model.Config) {},
		"ReLU":              func(c *model.Config) { c.Smooth = false },
		"odd width":         func(c *model.Config) { c.Width = 0.1 },
		"ImageNet stem":     func(c *model.Config) { c.Stem, c.ImageSize = "ImageNet", 32 },
		"bottlenecks":       func(c *model.Config) { c.Depth, c.Stem, c.ImageSize = 50, "ImageNet", 40 },
		"odd bottlenecks":   func(c *model.Config) { c.Depth, c.Width, c.Shortcut = 50, 0.1, "GoogleResearch" },
		"selective kernels": func(c *model.Config) { c.Depth, c.SelectiveKernel = 50, "Enabled" },
		"SimCLRv2's, odd": func(c *model.Config) {
			c.Depth, c.Width, c.Stem, c.ImageSize, c.SelectiveKernel = 50, 0.1, "ImageNet", 40, "Enabled"
		},
		"deeper head": func(c *model.Config) { c.HeadLayers, c.OutputShift = 3, false },
		"linear head": func(c *model.Config) { c.Head = "Linear" },
		"no head":     func(c *model.Config) { c.Head, c.Dimension = "None", c.Features() },
	} {
		t.Run(name, func(t *testing.T) {
			c := model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 16, Dimension: 32, OutputShift: true, Smooth: true}
			change(&c)
			o := optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4}
			views := optest.Views(images, c.ImageSize)
			want := outcomeOf(newStepper(t, interp.Engine{}, c, images, o), views)
			for how, e := range engines {
				got := outcomeOf(newStepper(t, e, c, images, o), views)
				for name, w := range want {
					d, bound := difference(got[name], w), bounds[how]
					if c.Depth > 18 || c.HeadLayers > 2 {
						bound *= deeper
					}
					if c.SelectiveKernel == v1alpha1.Enabled {
						bound *= selects
					}
					if strings.HasPrefix(name, "gradient") {
						if r := optest.Cosine(got[name].Data, w.Data); !(r >= 0.999) {
							t.Errorf("%s: %s has cosine %.5f", how, name, r)
						}
					}
					if (c.Smooth || name == "z" || name == "loss") && !(d < bound) {
						t.Errorf("%s: %s differs by %.1e of its largest value", how, name, d)
					}
				}
			}
		})
	}
}

// outcomeOf a step is z, the loss, every gradient and every variable after the update.
func outcomeOf(s *stepper, views engine.Tensor) map[string]engine.Tensor {
	s.t.Helper()
	all := map[string]engine.Tensor{}
	var grads []engine.Tensor
	all["z"], all["loss"], grads = s.step(views, 0.5)
	for i, p := range s.p.Parameters {
		all["gradient of "+p.Name] = grads[i]
	}
	for _, v := range s.p.Variables {
		t, err := s.net.Get(v.Name)
		if err != nil {
			s.t.Fatal(err)
		}
		all[v.Name+" after the update"] = t
	}
	return all
}

// A bfloat16 step is a step of the same loss down the same slope, coarsely, on the hardest images for it: noise.
// What it is worth is seen in accuracies: make bench-fidelity.
func TestStepInBF16(t *testing.T) {
	c := model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 16, Dimension: 32, OutputShift: true}
	o := optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4}
	views := optest.Views(16, 16)
	_, wantLoss, wantGrads := newStepper(t, interp.Engine{}, c, 16, o).step(views, 0.5)
	c.Precision = engine.BF16
	e := newEngine(t)
	p, err := model.Contrastive(c, 16, o)
	if err != nil {
		t.Fatal(err)
	}
	if refusesBF16(t, e, p.Program) {
		return
	}
	ours := newStepper(t, e, c, 16, o)
	_, loss, grads := ours.step(views, 0.5)
	if d := difference(loss, wantLoss); !(d < 0.01) {
		t.Errorf("loss differs by %.1e", d)
	}
	for i, p := range ours.p.Parameters {
		least := 0.9
		if p.Role == optimizer.Norm {
			least = 0.75 // sums over all pixels of what has either sign
		}
		if c := optest.Cosine(grads[i].Data, wantGrads[i].Data); !(c > least) {
			t.Errorf("gradient of %s has cosine %.3f", p.Name, c)
		}
	}
}

func TestStepsAreBitIdentical(t *testing.T) {
	e := newEngine(t)
	c := model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "Reference", ImageSize: 32, Dimension: 64}
	weights := func() []float32 {
		s := newStepper(t, e, c, 16, optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4})
		views := optest.Views(16, 32)
		for range 3 {
			s.step(views, 0.3)
		}
		var all []float32
		for _, v := range s.p.Variables {
			got, err := s.net.Get(v.Name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, got.Data...)
		}
		return all
	}
	a, b := weights(), weights()
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			t.Fatalf("value %d of %d differs: %v and %v", i, len(a), a[i], b[i])
		}
	}
}

func BenchmarkStep(b *testing.B) {
	for _, bc := range []struct {
		width  float64
		images int
	}{{0.25, 256}, {1, 64}} {
		b.Run(fmt.Sprintf("ResNet-18 width %v, %dx2 views", bc.width, bc.images), func(b *testing.B) {
			c := model.Config{Depth: 18, Width: bc.width, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 32, Dimension: 128, OutputShift: true}
			s := newStepper(b, newEngine(b), c, bc.images, optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: 1e-4})
			views := optest.Views(bc.images, 32)
			s.step(views, 0.1)
			for b.Loop() {
				s.step(views, 0.1)
			}
			b.ReportMetric(float64(2*bc.images)*float64(b.N)/b.Elapsed().Seconds(), "views/s")
			b.ReportMetric(float64(s.net.(*executable).Bytes()>>20), "MiB")
		})
	}
}
