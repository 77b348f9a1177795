// Package pytorch has what PyTorch computed in a contrastive step, for the tests of everything that computes one:
// reference.json, by reference.py. Weights and views are drawn here as they are there, bit for bit.
package pytorch

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

//go:embed reference.json
var reference []byte

// A Case is a network, a step, and what comes of it in float64.
type Case struct {
	Name                                   string
	Depth, ImageSize, Images               int
	HeadLayers, Dimension                  int
	Width                                  float64
	Stem, Shortcut, Activation             string
	SelectiveKernel                        v1alpha1.Mode
	OutputShift                            bool
	Temperature, LearningRate, WeightDecay float64

	Loss float64
	Z    Summary
	// by parameter: of the loss; and of LARS after the step
	Gradients, Velocities, Parameters map[string]Summary
	Running                           map[string]Summary // (2, C) by batch norm, after the step
	Features                          Summary            // h of the views in inference mode, after the step
}

// Summary of a tensor: its values at evenly spread places, the largest magnitude, and the product with the
// vector that product draws.
type Summary struct {
	Values           []float64
	Largest, Product float64
}

// Cases are all of them.
func Cases() ([]Case, error) {
	var r struct{ Cases []Case }
	if err := json.Unmarshal(reference, &r); err != nil {
		return nil, fmt.Errorf("reference.json: %w", err)
	}
	return r.Cases, nil
}

// Model is the network's architecture.
func (c Case) Model() model.Config {
	m := model.Config{
		Depth: c.Depth, Width: c.Width, Stem: c.Stem, Shortcut: c.Shortcut, SelectiveKernel: c.SelectiveKernel, Initialization: "PyTorch", ImageSize: c.ImageSize,
		Head: v1alpha1.HeadNonLinear, HeadLayers: c.HeadLayers, Dimension: c.Dimension, OutputShift: c.OutputShift, Smooth: c.Activation == "Softplus",
	}
	switch c.HeadLayers {
	case 0:
		m.Head = v1alpha1.HeadNone
	case 1:
		m.Head = v1alpha1.HeadLinear
	}
	return m
}

// Optimizer is the step's LARS.
func (c Case) Optimizer() optimizer.Config {
	return optimizer.Config{Kind: "LARS", Momentum: 0.9, WeightDecay: c.WeightDecay}
}

// Views are the (2N, 3, S, S) views.
func (c Case) Views() engine.Tensor {
	return drawn("views", 0, 1, 2*c.Images, 3, c.ImageSize, c.ImageSize)
}

// Parameter is a parameter's value before the step, Velocity its momentum.
func Parameter(p model.Parameter) engine.Tensor {
	low, high := bounds(p)
	return drawn(p.Name, low, high, p.Shape...)
}

// Velocity is a parameter's momentum before the step.
func Velocity(p model.Parameter) engine.Tensor {
	low, high := bounds(p)
	return drawn("momentum:"+p.Name, 0.01*low, 0.01*high, p.Shape...)
}

func bounds(p model.Parameter) (low, high float64) {
	switch {
	case len(p.Shape) > 1:
		b := 1 / math.Sqrt(float64(engine.Size(p.Shape[1:])))
		return -b, b
	case strings.HasSuffix(p.Name, "weight"):
		return 0.5, 1.5
	default:
		return -0.25, 0.25
	}
}

// uniform numbers in [0, 1) of 24 bits, by a linear congruential generator that a name starts.
func uniform(name string, count int) []float64 {
	h := fnv.New32a()
	h.Write([]byte(name))
	x := h.Sum32()
	out := make([]float64, count)
	for i := range out {
		x = x*1664525 + 1013904223
		out[i] = float64(x>>8) / (1 << 24)
	}
	return out
}

func drawn(name string, low, high float64, shape ...int) engine.Tensor {
	t := engine.NewTensor(shape...)
	for i, u := range uniform(name, len(t.Data)) {
		t.Data[i] = float32(low + float64((high-low)*u)) // the conversion forbids fusing
	}
	return t
}

// Difference of a tensor from what PyTorch computed, relative to the largest value: the largest one at a place, or
// that of the product, which sees every value, by the vector's norm.
func (s Summary) Difference(name string, v []float64) float64 {
	worst := 0.
	for i, want := range s.Values {
		worst = larger(worst, v[i*len(v)/len(s.Values)]-want)
	}
	product, norm := -s.Product, 0.
	for i, u := range uniform("product:"+name, len(v)) {
		r := 2*u - 1
		product, norm = product+r*v[i], norm+r*r
	}
	return larger(worst, product/math.Sqrt(norm)) / s.Largest
}

// larger of a difference and |d|; NaN stays.
func larger(worst, d float64) float64 {
	if d = math.Abs(d); !(d <= worst) {
		return d
	}
	return worst
}
