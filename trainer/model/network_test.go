package model

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// torchvision18 are the tensors of torchvision's resnet18, in the order of its state_dict.
func torchvision18() []string {
	var names []string
	bn := func(name string) {
		for _, s := range []string{"weight", "bias", "running_mean", "running_var", "num_batches_tracked"} {
			names = append(names, name+"."+s)
		}
	}
	names = append(names, "conv1.weight")
	bn("bn1")
	for layer := 1; layer <= 4; layer++ {
		for block := range 2 {
			at := fmt.Sprintf("layer%d.%d.", layer, block)
			names = append(names, at+"conv1.weight")
			bn(at + "bn1")
			names = append(names, at+"conv2.weight")
			bn(at + "bn2")
			if layer > 1 && block == 0 {
				names = append(names, at+"downsample.0.weight")
				bn(at + "downsample.1")
			}
		}
	}
	return append(names, "fc.weight", "fc.bias")
}

// stateDict are the names that a program's parameters and statistics have in torchvision.
func stateDict(p *Program) []string {
	var names []string
	stats := map[string]bool{}
	for _, s := range p.Statistics {
		stats[s.Name] = true
	}
	for _, q := range p.Parameters {
		names = append(names, q.Name)
		if layer, ok := strings.CutSuffix(q.Name, ".bias"); ok && stats[layer] {
			names = append(names, layer+".running_mean", layer+".running_var", layer+".num_batches_tracked")
		}
	}
	return names
}

func TestNamesAreTorchvisions(t *testing.T) {
	p, err := Inference(Config{Depth: 18, Width: 1, Shortcut: "Torchvision", ImageSize: 32}, 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	got := stateDict(p)
	if diff := cmp.Diff(torchvision18(), got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if len(got) != 122 {
		t.Errorf("%d tensors, want 122", len(got))
	}
}

func shapesOf(ps []Parameter) map[string][]int {
	m := map[string][]int{}
	for _, p := range ps {
		m[p.Name] = p.Shape
	}
	return m
}

// google-research/simclr projects in the first block of every group, the first included.
func TestShortcuts(t *testing.T) {
	for name, tc := range map[string]struct {
		shortcut string
		want     map[string][]int
	}{
		"torchvision's": {"Torchvision", map[string][]int{
			"layer2.0": {32, 16, 1, 1}, "layer3.0": {64, 32, 1, 1}, "layer4.0": {128, 64, 1, 1}}},
		"google-research's": {"GoogleResearch", map[string][]int{
			"layer1.0": {16, 16, 1, 1}, "layer2.0": {32, 16, 1, 1}, "layer3.0": {64, 32, 1, 1}, "layer4.0": {128, 64, 1, 1}}},
	} {
		for _, depth := range []int{18, 34} {
			t.Run(fmt.Sprintf("%s, ResNet-%d", name, depth), func(t *testing.T) {
				ps, _, err := Encoder(Config{Depth: depth, Width: 0.25, Shortcut: tc.shortcut, ImageSize: 32})
				if err != nil {
					t.Fatal(err)
				}
				got := map[string][]int{}
				for _, p := range ps {
					if block, ok := strings.CutSuffix(p.Name, ".downsample.0.weight"); ok {
						got[block] = p.Shape
					}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("projections (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The projection head: two dense layers without bias, each with batch norm; the last one's β is
// optional.
func TestProjectionHead(t *testing.T) {
	for name, tc := range map[string]struct {
		shift bool
		want  map[string][]int
	}{
		"scale and shift": {true, map[string][]int{"0.weight": {32, 32}, "1.weight": {32}, "1.bias": {32}, "3.weight": {128, 32}, "4.weight": {128}, "4.bias": {128}}},
		"scale alone":     {false, map[string][]int{"0.weight": {32, 32}, "1.weight": {32}, "1.bias": {32}, "3.weight": {128, 32}, "4.weight": {128}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Contrastive(Config{Depth: 18, Width: 1. / 16, ImageSize: 8, Dimension: 128, OutputShift: tc.shift}, 2, optimizer.Config{Kind: "LARS"})
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]int{}
			for name, shape := range shapesOf(p.Parameters) {
				if layer, ok := strings.CutPrefix(name, "projection."); ok {
					got[layer] = shape
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("head (-want +got):\n%s", diff)
			}
			if got, want := p.Segments[Forward].Fetches[0].Shape(), []int{4, 128}; !cmp.Equal([]int(got), want) {
				t.Errorf("z has shape %v, want %v", got, want)
			}
		})
	}
}

func TestUnknownDepth(t *testing.T) {
	_, _, err := Encoder(Config{Depth: 20, Width: 1, ImageSize: 32})
	if err == nil || !strings.Contains(err.Error(), "encoder.depth 20: 18 and 34 are known") {
		t.Errorf("error %v", err)
	}
}

func TestRoles(t *testing.T) {
	p, err := Supervised(Config{Depth: 18, Width: 1. / 16, ImageSize: 8}, 2, 10, false, optimizer.Config{Kind: "SGD"})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.Parameters {
		want := optimizer.Norm
		switch {
		case q.Name == "fc.weight":
			want = optimizer.SupervisedHead
		case q.Name == "fc.bias":
			want = optimizer.Bias
		case len(q.Shape) == 4:
			want = optimizer.Weight
		}
		if q.Role != want {
			t.Errorf("%s has role %v, want %v", q.Name, q.Role, want)
		}
	}
}

// First values: each distribution's mean, deviation and bound, for a layer whose fan-in is known.
func TestFirstValues(t *testing.T) {
	const fanIn = 3 * 3 * 128 // of layer2.1.conv1
	for name, tc := range map[string]struct {
		initialization, parameter  string
		wantDeviation, wantLargest float64
	}{
		// U(±1/√fan-in) has the deviation bound/√3
		"PyTorch's convolution": {"PyTorch", "layer2.1.conv1.weight", 1 / math.Sqrt(3*fanIn), 1 / math.Sqrt(fanIn)},
		"PyTorch's dense layer": {"PyTorch", "projection.0.weight", 1 / math.Sqrt(3*512), 1 / math.Sqrt(512)},
		// truncated at two deviations of the uncut normal, which is 1/0.8796 as wide
		"the reference's convolution": {"Reference", "layer2.1.conv1.weight", 1 / math.Sqrt(fanIn), 2 / math.Sqrt(fanIn) / 0.87962566},
		"the reference's dense layer": {"Reference", "projection.0.weight", 0.01, 0.06},
		"PyTorch's last γ":            {"PyTorch", "layer1.0.bn2.weight", 0, 1},
		"the reference's last γ":      {"Reference", "layer1.0.bn2.weight", 0, 0},
		"the reference's first γ":     {"Reference", "layer1.0.bn1.weight", 0, 1},
		"β":                           {"Reference", "layer1.0.bn1.bias", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Contrastive(Config{Depth: 18, Width: 1, Initialization: tc.initialization, ImageSize: 32, Dimension: 8}, 1, optimizer.Config{Kind: "Plain"})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range p.Parameters {
				if q.Name != tc.parameter {
					continue
				}
				mean, deviation, largest := summary(q.Draw(0).Data)
				if tc.wantDeviation > 0 && math.Abs(mean) > 0.02*tc.wantDeviation {
					t.Errorf("mean %v, want 0", mean)
				}
				if math.Abs(deviation-tc.wantDeviation) > 0.01*tc.wantDeviation {
					t.Errorf("deviation %v, want %v", deviation, tc.wantDeviation)
				}
				if largest > tc.wantLargest*(1+1e-6) || largest < 0.8*tc.wantLargest {
					t.Errorf("largest %v, want up to %v", largest, tc.wantLargest)
				}
				return
			}
			t.Errorf("no parameter %s", tc.parameter)
		})
	}
}

func summary(v []float32) (mean, deviation, largest float64) {
	for _, x := range v {
		mean += float64(x) / float64(len(v))
		largest = max(largest, math.Abs(float64(x)))
	}
	for _, x := range v {
		deviation += (float64(x) - mean) * (float64(x) - mean) / float64(len(v))
	}
	return mean, math.Sqrt(deviation), largest
}

// A parameter's first value depends on the seed and its name alone, so the encoder begins the same
// whatever stands on it.
func TestFirstValuesDependOnSeedAndName(t *testing.T) {
	a := Parameter{Name: "a", Shape: []int{4}, Init: normal(1)}
	b := Parameter{Name: "b", Shape: []int{4}, Init: normal(1)}
	if diff := cmp.Diff(a.Draw(1), a.Draw(1)); diff != "" {
		t.Errorf("two draws differ:\n%s", diff)
	}
	if cmp.Equal(a.Draw(1), a.Draw(2)) {
		t.Error("two seeds give one value")
	}
	if cmp.Equal(a.Draw(1), b.Draw(1)) {
		t.Error("two names give one value")
	}
}
