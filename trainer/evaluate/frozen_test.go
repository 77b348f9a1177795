package evaluate

import (
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

var tiny = model.Config{
	Depth: 18, Width: 0.05, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 8, Dimension: 8,
}

// A step of linear evaluation leaves the encoder's digest as it is; one of finetuning does not, and then
// CheckFrozen says so.
func TestCheckFrozen(t *testing.T) {
	z := tiny
	z.Representation = v1alpha1.FeaturesProjection
	for name, tc := range map[string]struct {
		model  model.Config
		frozen bool
	}{"linear evaluation": {tiny, true}, "finetuning": {tiny, false}, "linear evaluation of z": {z, true}, "finetuning from z": {z, false}} {
		t.Run(name, func(t *testing.T) {
			c, err := NewClassifier(interp.Engine{}, ClassifierConfig{Model: tc.model, Batch: 4, Classes: 2, Frozen: tc.frozen})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			before, err := c.EncoderHash()
			if err != nil {
				t.Fatal(err)
			}
			steps(t, c, 1)
			if err := c.CheckFrozen(before); (err == nil) != tc.frozen {
				t.Errorf("CheckFrozen: %v", err)
			}
		})
	}
}

// steps of four images of two classes.
func steps(t *testing.T, c *Classifier, n int) {
	t.Helper()
	images, labels := engine.NewTensor(4, 3, 8, 8), engine.Tensor{Shape: []int{4}, Data: []float32{0, 1, 0, 1}}
	for i := range images.Data {
		images.Data[i] = float32(i%7) / 7
	}
	for range n {
		if _, err := c.Step(images, labels, 0.1); err != nil {
			t.Fatal(err)
		}
	}
}

// The digest sees every single parameter and running statistic.
func TestCheckFrozenSeesEveryTensor(t *testing.T) {
	f, err := NewInference(interp.Engine{}, tiny, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := weights.Initialize(f.prog.Parameters, f.prog.Statistics, 1, f.Set); err != nil {
		t.Fatal(err)
	}
	before, err := f.EncoderHash()
	if err != nil {
		t.Fatal(err)
	}
	if n := len(f.prog.Variables); n != 20+20+20+20 {
		t.Fatalf("ResNet-18 has %d variables, want 20 convolutions and of 20 batch norms weight, bias and running statistics", n)
	}
	for _, v := range f.prog.Variables {
		kept, err := f.exec.Get(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{0, len(kept.Data) - 1} { // of running statistics a mean and a variance
			changed := engine.Tensor{Shape: kept.Shape, Data: append([]float32{}, kept.Data...)}
			changed.Data[at] += 1e-6
			if err := f.Set(v.Name, changed); err != nil {
				t.Fatal(err)
			}
			if err := f.CheckFrozen(before); err == nil || !strings.Contains(err.Error(), before) {
				t.Errorf("%s[%d] changed: %v", v.Name, at, err)
			}
			if err := f.Set(v.Name, kept); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.CheckFrozen(before); err != nil {
		t.Error(err)
	}
}
