package model

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// The first block of the last group, of twice the channels: shapes and roles as google-research/simclr's SK_Conv2D has
// them for 1024 filters.
func TestSelectiveKernelsParameters(t *testing.T) {
	ps, _, err := Encoder(Config{Depth: 50, Width: 2, Stem: "ImageNet", SelectiveKernel: "Enabled", ImageSize: 32})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]int{}
	for _, p := range ps {
		if layer, ok := strings.CutPrefix(p.Name, "layer4.0."); ok {
			got[layer] = p.Shape
			if (p.Role == optimizer.Weight) != (len(p.Shape) > 1) {
				t.Errorf("%s has role %v", p.Name, p.Role)
			}
		}
		if stem, ok := strings.CutPrefix(p.Name, "conv1."); ok {
			got["stem "+stem] = p.Shape
		}
	}
	want := map[string][]int{
		"stem 0.weight": {64, 3, 3, 3}, "stem 1.weight": {64}, "stem 1.bias": {64}, "stem 3.weight": {64, 64, 3, 3},
		"stem 4.weight": {64}, "stem 4.bias": {64}, "stem 6.weight": {128, 64, 3, 3},
		"conv1.weight": {1024, 2048, 1, 1}, "bn1.weight": {1024}, "bn1.bias": {1024},
		"conv2.weight": {2048, 1024, 3, 3}, "bn2.weight": {2048}, "bn2.bias": {2048},
		"attn.fc_reduce.weight": {64, 1024}, "attn.bn.weight": {64}, "attn.bn.bias": {64}, "attn.fc_select.weight": {2048, 64},
		"conv3.weight": {4096, 1024, 1, 1}, "bn3.weight": {4096}, "bn3.bias": {4096},
		"downsample.1.weight": {4096, 2048, 1, 1}, "downsample.2.weight": {4096}, "downsample.2.bias": {4096},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("shapes (-want +got):\n%s", d)
	}
}

// What weighs the streams are convolutions in the reference, and begin as such: not as the head's dense layers.
func TestSelectiveKernelsFirstValues(t *testing.T) {
	ps, _, err := Encoder(Config{Depth: 50, Width: 2, SelectiveKernel: "Enabled", Initialization: "Reference", ImageSize: 32})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ps {
		if !strings.HasPrefix(p.Name, "layer4.0.attn.fc_") {
			continue
		}
		want := 1 / math.Sqrt(float64(p.Shape[1]))
		if mean, deviation, _ := summary(p.Draw(0).Data); math.Abs(mean) > 0.02*want || math.Abs(deviation-want) > 0.02*want {
			t.Errorf("%s has mean %v and deviation %v, want 0 and %v", p.Name, mean, deviation, want)
		}
	}
}
