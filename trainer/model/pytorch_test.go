package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// published is what testdata/pytorch.py has written.
type published struct {
	Networks map[string]struct {
		Depth, ImageSize    int
		Width               float64 `json:",string"`
		Stem, Shortcut      string
		SelectiveKernel     v1alpha1.Mode
		Inference, Training []float64
		Gradients           map[string]float64
	}
	Torchvision map[int]struct {
		Tensors, Parameters int
		SHA256              string
	}
}

func readPublished(t *testing.T) (p published) {
	t.Helper()
	raw, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// pattern are the values in [-1, 1) that testdata/pytorch.py gives a tensor of this name.
func pattern(name string, shape ...int) []float64 {
	seed := uint32(0)
	for i, c := range name {
		seed += uint32(i+1) * uint32(c)
	}
	v := make([]float64, engine.Size(shape))
	for i := range v {
		x := (uint32(i) + seed) * 2654435761
		x ^= x >> 16
		x *= 2246822519
		x ^= x >> 13
		v[i] = float64(x)/(1<<31) - 1
	}
	return v
}

// patterned are the values of a parameter or of running statistics.
func patterned(name string, shape ...int) []float64 {
	v := pattern(name, shape...)
	for i := range v {
		switch {
		case len(shape) > 1:
			v[i] *= math.Sqrt(3 / float64(engine.Size(shape[1:])))
		case strings.HasSuffix(name, ".bias") || strings.HasSuffix(name, "_mean"):
			v[i] /= 4
		default:
			v[i] = 1 + v[i]/4
		}
	}
	return v
}

const publishedImages = 6

// patternedNetwork is a program on the interpreter with such weights, and such images.
func patternedNetwork(t *testing.T, p *Program) (*interp.Executable, interp.Array) {
	t.Helper()
	x, err := interp.New(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parameters {
		copy(x.Variable(q.Name), patterned(q.Name, q.Shape...))
	}
	for _, s := range p.Statistics {
		running := x.Variable(RunningName(s.Name))
		copy(running, patterned(s.Name+".running_mean", s.Channels))
		copy(running[s.Channels:], patterned(s.Name+".running_var", s.Channels))
	}
	images := interp.Array{Shape: p.Segments[0].Feeds[0].Shape()}
	images.V = pattern("images", images.Shape...)
	for i := range images.V {
		images.V[i] = 0.5 + images.V[i]/2
	}
	return x, images
}

// closeTo is an error where values differ by more than rounding in float64, relative to the largest.
func closeTo(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	worst, largest := 0., 1e-6
	for i, w := range want {
		worst, largest = max(worst, math.Abs(got[i]-w)), max(largest, math.Abs(w))
	}
	if !(worst <= 1e-9*largest) {
		t.Errorf("%s differs by %.1e of its largest value", what, worst/largest)
	}
}

// Whole networks give the features and gradients that PyTorch computes for the same weights and images.
func TestNetworksAgainstPyTorch(t *testing.T) {
	for name, want := range readPublished(t).Networks {
		t.Run(name, func(t *testing.T) {
			c := Config{
				Depth: want.Depth, Width: want.Width, Stem: want.Stem, Shortcut: want.Shortcut, SelectiveKernel: want.SelectiveKernel, ImageSize: want.ImageSize,
			}
			p, err := Inference(c, publishedImages, 0)
			if err != nil {
				t.Fatal(err)
			}
			x, images := patternedNetwork(t, p)
			out, err := x.Run64(0, images)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, "h in inference mode", out[0].V[:c.Features()], want.Inference)
			c.Head, c.Dimension = "None", c.Features()
			p, err = Contrastive(c, publishedImages/2, optimizer.Config{Kind: "Plain"})
			if err != nil {
				t.Fatal(err)
			}
			x, images = patternedNetwork(t, p)
			h, err := x.Run64(Forward, images)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, "h in training mode", h[0].V[:c.Features()], want.Training)
			grads, err := x.Run64(Backward, interp.Array{Shape: h[0].Shape, V: pattern("dh", h[0].Shape...)})
			if err != nil {
				t.Fatal(err)
			}
			if len(want.Gradients) != len(p.Parameters) {
				t.Errorf("%d gradients, want %d", len(p.Parameters), len(want.Gradients))
			}
			for i, q := range p.Parameters {
				product := 0.
				for k, v := range pattern("d"+q.Name, q.Shape...) {
					product += v * grads[i].V[k]
				}
				closeTo(t, "gradient of "+q.Name, []float64{product}, []float64{want.Gradients[q.Name]})
			}
		})
	}
}

// The encoder's names and shapes, with a classifier of 1,000 classes, are those of torchvision's networks.
func TestNamesAndShapesAreTorchvisions(t *testing.T) {
	for depth, want := range readPublished(t).Torchvision {
		t.Run(fmt.Sprint("ResNet-", depth), func(t *testing.T) {
			p, err := Inference(Config{Depth: depth, Width: 1, Stem: "ImageNet", Shortcut: "Torchvision", ImageSize: 8}, 1, 1000)
			if err != nil {
				t.Fatal(err)
			}
			got := want
			got.Tensors, got.Parameters = 0, 0
			listing := sha256.New()
			for _, s := range stateDict(p) {
				got.Tensors++
				fmt.Fprintln(listing, s)
			}
			for _, q := range p.Parameters {
				got.Parameters += engine.Size(q.Shape)
			}
			got.SHA256 = hex.EncodeToString(listing.Sum(nil))
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}
