package model

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// tiny is a whole ResNet-18 with few channels, small images and a smooth activation, so that central
// differences are exact enough.
var tiny = Config{Depth: 18, Width: 1. / 32, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 8, Dimension: 6, OutputShift: true, Smooth: true}

// tinies are one small network of each kind, for all gradients of all of them.
func tinies() map[string]Config {
	with := func(change func(c *Config)) Config {
		c := tiny
		change(&c)
		return c
	}
	return map[string]Config{
		"ResNet-18":                with(func(*Config) {}),
		"Google's shortcuts":       with(func(c *Config) { c.Shortcut = "GoogleResearch" }),
		"ImageNet stem":            with(func(c *Config) { c.Stem = "ImageNet" }),
		"ResNet-50":                with(func(c *Config) { c.Depth, c.Width = 50, 1./64 }),
		"ResNet-50, ImageNet stem": with(func(c *Config) { c.Depth, c.Width, c.Stem = 50, 1./64, "ImageNet" }),
		"selective kernels":        with(func(c *Config) { c.Depth, c.Width, c.SelectiveKernel = 50, 1./64, "Enabled" }),
		"SimCLRv2's encoder": with(func(c *Config) {
			c.Depth, c.Width, c.Stem, c.SelectiveKernel, c.HeadLayers = 50, 1./64, "ImageNet", "Enabled", 3
		}),
		"head of three layers": with(func(c *Config) { c.HeadLayers = 3 }),
		"linear head":          with(func(c *Config) { c.Head, c.OutputShift = "Linear", false }),
		"no head":              with(func(c *Config) { c.Head, c.Dimension = "None", c.Features() }),
	}
}

const tinyImages = 3

// reference is the contrastive step on the interpreter, with float64 access to everything.
type reference struct {
	t      *testing.T
	p      *Program
	net    *interp.Executable
	ntxent *interp.Executable
	views  interp.Array
}

func newReference(t *testing.T, c Config) *reference {
	t.Helper()
	p, err := Contrastive(c, tinyImages, optimizer.Config{Kind: "Plain"})
	if err != nil {
		t.Fatal(err)
	}
	net, err := interp.New(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parameters {
		if err := net.Set(q.Name, q.Draw(1)); err != nil {
			t.Fatal(err)
		}
	}
	lp, err := NTXent(2*tinyImages, c.Dimension, 0.5)
	if err != nil {
		t.Fatal(err)
	}
	ntxent, err := interp.New(lp)
	if err != nil {
		t.Fatal(err)
	}
	views := interp.Zeros(2*tinyImages, 3, 8, 8)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range views.V {
		views.V[i] = r.Float64()
	}
	return &reference{t, p, net, ntxent, views}
}

func (r *reference) run(e *interp.Executable, segment int, feeds ...interp.Array) []interp.Array {
	r.t.Helper()
	out, err := e.Run64(segment, feeds...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

var one = interp.Array{Shape: []int{1}, V: []float64{1}}

func (r *reference) loss() (loss float64, dz interp.Array) {
	z := r.run(r.net, Forward, r.views)[0]
	out := r.run(r.ntxent, 0, z, one)
	return out[0].V[0], out[2]
}

// gradients of the loss, dz scaled by a factor that is 1 where nothing is broken.
func (r *reference) gradients(scale float64) []interp.Array {
	_, dz := r.loss()
	for i := range dz.V {
		dz.V[i] *= scale
	}
	return r.run(r.net, Backward, dz)
}

// worst is the largest difference of any parameter's gradient from central differences, relative to
// that gradient's largest value.
func (r *reference) worst(scale float64) float64 {
	grads := r.gradients(scale)
	worst := 0.
	for i, p := range r.p.Parameters {
		largest := 1e-6
		for _, v := range grads[i].V {
			largest = max(largest, math.Abs(v))
		}
		w := r.net.Variable(p.Name)
		for k := 0; k < len(w); k += 1 + len(w)/2 {
			const h = 2e-6
			kept := w[k]
			w[k] = kept + h
			up, _ := r.loss()
			w[k] = kept - h
			down, _ := r.loss()
			w[k] = kept
			worst = max(worst, math.Abs((up-down)/(2*h)-grads[i].V[k])/largest)
		}
	}
	return worst
}

func TestWholeStepAgainstCentralDifferences(t *testing.T) {
	for name, c := range tinies() {
		t.Run(name, func(t *testing.T) {
			if got := newReference(t, c).worst(1); !(got <= 3e-5) {
				t.Errorf("gradients differ from central differences by %.1e of a tensor's largest value", got)
			}
		})
	}
}

func TestBrokenGradientScaleIsSeen(t *testing.T) {
	if got := newReference(t, tiny).worst(2); got < 0.4 {
		t.Errorf("a gradient of twice its size differs from central differences by only %.1e", got)
	}
}

// A plain step with rate 1 subtracts exactly the gradient.
func TestPlainStepSubtractsTheGradient(t *testing.T) {
	r := newReference(t, tiny)
	before := map[string][]float64{}
	for _, p := range r.p.Parameters {
		before[p.Name] = append([]float64{}, r.net.Variable(p.Name)...)
	}
	grads := r.gradients(1)
	r.run(r.net, Update, append([]interp.Array{one}, grads...)...)
	for i, p := range r.p.Parameters {
		for k, w := range r.net.Variable(p.Name) {
			if want := before[p.Name][k] - grads[i].V[k]; w != want {
				t.Fatalf("%s[%d] is %v, want %v", p.Name, k, w, want)
			}
		}
	}
}
