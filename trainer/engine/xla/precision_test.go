package xla

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
)

// Activations alone are bfloat16: the loss stays close, gradients point the same way.
func TestBF16(t *testing.T) {
	e, c := newEngine(t, 1, false), small()
	want := inParts(t, interp.Engine{}, c, 8, lars)
	c.Precision = engine.BF16
	got := inParts(t, e, c, 8, lars)
	if d := optest.Far(got["loss"], want["loss"]); !(d < 0.01) {
		t.Errorf("the loss differs by %.1e", d)
	}
	for name, g := range got {
		if cos := optest.Cosine(g, want[name]); strings.HasPrefix(name, "gradient") && !(cos > 0.97) {
			t.Errorf("%s: cosine %.4f", name, cos)
		}
	}
}

// Statistics of float32 values that are far from zero, beside their spread, are those of float64: the mean of their squares less the
// square of their mean would be wrong by a twentieth.
func TestStatisticsFarFromZero(t *testing.T) {
	const mean = 1000
	for name, x := range map[string]optest.Operand{"images": n(6, 3, 7, 5), "pixels": n(200, 3, 1, 1), "rows": n(200, 3)} {
		t.Run(name, func(t *testing.T) {
			values := x.Draw(rand.New(rand.NewPCG(5, 6)))
			data := make([]float32, len(values))
			for i, v := range values {
				data[i] = mean + float32(v)
				values[i] = float64(data[i])
			}
			p := of(op.BatchStatistics{}, x).Alone(t)
			reference, err := interp.New(p)
			if err != nil {
				t.Fatal(err)
			}
			want, err := reference.Run64(0, interp.Array{Shape: x.Shape, V: values})
			if err != nil {
				t.Fatal(err)
			}
			compiled, err := newEngine(t, 1, false).New(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := compiled.Run(0, engine.Tensor{Shape: x.Shape, Data: data})
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want[0].V {
				if d := math.Abs(float64(got[0].Data[i])-w) / w; !(d < 1e-5) {
					t.Errorf("statistic %d differs by %.1e of it", i, d)
				}
			}
		})
	}
}

// Parameters, their gradients, statistics and what is fetched are float32; what a backward pass reads of the layers is not.
func TestTypesOfBF16(t *testing.T) {
	c := small()
	c.Precision = engine.BF16
	p, err := model.Contrastive(c, 8, lars)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := emit.Programs(p.Program, emit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, q := range programs {
		for _, port := range append(q.Inputs, q.Outputs...) {
			want := dtypes.Float32
			if port.Kind == emit.Kept && len(port.Shape) == 4 {
				want, kept = dtypes.BFloat16, kept+1
			}
			if port.Type != want {
				t.Errorf("%v %s %v is %v", port.Kind, port.Name, port.Shape, port.Type)
			}
		}
	}
	if kept < 20 {
		t.Errorf("%d activations are kept for the backward pass", kept)
	}
}

// Micro-batches make the step that the interpreter makes of them.
func TestMicroBatches(t *testing.T) {
	m := small()
	m.Width, m.ImageSize = 0.05, 8
	c := pretrain.Config{Model: m, Images: 8, MicroBatch: 4, Statistics: v1alpha1.BatchNormMicroBatch, Temperature: temperature, Optimizer: optimizer.Config{Kind: "Plain"}}
	parts := [2]engine.Tensor{optest.Views(4, 8), optest.Views(4, 8)}
	for i, v := range parts[1].Data {
		parts[1].Data[i] = 1 - v*v
	}
	after := func(e engine.Engine) outcome {
		s, err := pretrain.NewStepper(e, c, collective.Single{})
		if err != nil {
			t.Fatal(err)
		}
		got := outcome{}
		for range 2 {
			measure, err := s.Step(t.Context(), func(_ context.Context, at int) (engine.Tensor, error) { return parts[at], nil }, 0.1)
			if err != nil {
				t.Fatal(err)
			}
			got["loss"] = append(got["loss"], float32(measure.Loss))
		}
		variables, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range variables {
			got[v.Name] = v.Data
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return got
	}
	// between programs gradients are float32
	after(newEngine(t, 2, true)).differences(t, after(interp.Engine{}), 1e-5)
}
