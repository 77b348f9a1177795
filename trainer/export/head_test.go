package export

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// headed is an encoder with a head.
func headed() Encoder {
	e := small()
	e.Head = &Head{Type: "NonLinear", Layers: 2, Dimension: 1, OutputNormalization: "ScaleOnly", Tensors: []safetensors.Tensor{
		{Name: "1.num_batches_tracked", Shape: []int{}, Int64: []int64{390}},
		{Name: "0.weight", Shape: []int{1, 2}, Data: []float32{1, 2}},
		{Name: "1.bias", Shape: []int{1}, Data: []float32{3}},
		{Name: "4.bias", Shape: []int{1}, Data: []float32{0}},
	}}
	return e
}

func TestHeadIsReadAsWritten(t *testing.T) {
	none := small()
	none.Head = &Head{Type: "None"}
	for name, want := range map[string]Encoder{"a head": headed(), "z is h": none, "left behind": small()} {
		t.Run(name, func(t *testing.T) {
			dir, _ := write(t, want)
			got, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.Head, got.Head); d != "" {
				t.Error(d)
			}
			_, err = os.Stat(filepath.Join(dir, HeadFile))
			if there := err == nil; there != want.Head.stored() {
				t.Errorf("%s is there: %v", HeadFile, there)
			}
		})
	}
}

func TestHeadInConfig(t *testing.T) {
	dir, _ := write(t, headed())
	var got struct {
		SimCLR struct {
			Head map[string]any `json:"projection_head"`
		}
	}
	if err := json.Unmarshal([]byte(file(t, dir, ConfigFile)), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"type": "NonLinear", "layers": 2., "dimension": 1., "output_normalization": "ScaleOnly"}
	if d := cmp.Diff(want, got.SimCLR.Head); d != "" {
		t.Error(d)
	}
}

func TestReadRefusesAHead(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(dir string) error
		want   string
	}{
		"missing": {func(dir string) error { return os.Remove(filepath.Join(dir, HeadFile)) }, "has no head.safetensors"},
		"damaged": {func(dir string) error { return os.WriteFile(filepath.Join(dir, HeadFile), []byte("x"), 0o644) }, "head.safetensors is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := write(t, headed())
			if err := tc.change(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Read(dir)
			wantUserError(t, err, tc.want)
		})
	}
}

func TestCheckHead(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(have *Encoder, want *Head)
		error  string
	}{
		"the same":      {func(*Encoder, *Head) {}, ""},
		"none":          {func(h *Encoder, _ *Head) { h.Head = nil }, "came without its projection head (head.safetensors), and finetuning[few].features needs that; set it to Encoder"},
		"type":          {func(_ *Encoder, w *Head) { w.Type = "Linear" }, "is NonLinear; set projectionHead.type to it, it is Linear, or finetuning[few].features to Encoder"},
		"layers":        {func(_ *Encoder, w *Head) { w.Layers = 3 }, "has 2 layers; set projectionHead.layers to that, it is 3"},
		"dimension":     {func(_ *Encoder, w *Head) { w.Dimension = 64 }, "has 1 values; set projectionHead.dimension to that, it is 64"},
		"normalization": {func(_ *Encoder, w *Head) { w.OutputNormalization = "ScaleAndShift" }, "outputNormalization ScaleOnly; set projectionHead's to it"},
		"a shape":       {func(_ *Encoder, w *Head) { w.Tensors[1].Shape = []int{1, 3} }, "head.safetensors: 0.weight has the shape [1 2], not [1 3]"},
		"a NaN":         {func(h *Encoder, _ *Head) { h.Head.Tensors[1].Data[0] = float32(math.NaN()) }, "0.weight has values that are not finite"},
		"a shift":       {func(h *Encoder, _ *Head) { h.Head.Tensors[3].Data[0] = 1 }, "4.bias is not zero, as it is with outputNormalization ScaleOnly"},
		"its own shift": {func(h *Encoder, w *Head) {
			h.Head.Tensors[3].Data[0], h.Head.OutputNormalization, w.OutputNormalization = 1, "ScaleAndShift", "ScaleAndShift"
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			have, want := headed(), headed().Head
			tc.change(&have, want)
			if err := have.CheckHead(*want, "finetuning[few].features"); tc.error == "" {
				if err != nil {
					t.Error(err)
				}
			} else {
				wantUserError(t, err, tc.error)
			}
		})
	}
}
