package model

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// stateDict are a program's parameters and statistics as torch lists them: name and shape.
func stateDict(p *Program) []string {
	var tensors []string
	add := func(name string, shape ...int) {
		tensors = append(tensors, name+" "+strings.ReplaceAll(fmt.Sprint(shape), " ", ", "))
	}
	channels := map[string]int{}
	for _, s := range p.Statistics {
		channels[s.Name] = s.Channels
	}
	for _, q := range p.Parameters {
		add(q.Name, q.Shape...)
		layer, ok := strings.CutSuffix(q.Name, ".bias")
		if c := channels[layer]; ok && c > 0 {
			add(layer+".running_mean", c)
			add(layer+".running_var", c)
			add(layer + ".num_batches_tracked")
		}
	}
	return tensors
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

// The projection head: dense layers without bias, each with batch norm; the last one's β is optional.
func TestProjectionHead(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(c *Config)
		want   map[string][]int
	}{
		"scale and shift": {func(c *Config) { c.OutputShift = true }, map[string][]int{
			"0.weight": {32, 32}, "1.weight": {32}, "1.bias": {32}, "3.weight": {128, 32}, "4.weight": {128}, "4.bias": {128}}},
		"scale alone": {func(*Config) {}, map[string][]int{
			"0.weight": {32, 32}, "1.weight": {32}, "1.bias": {32}, "3.weight": {128, 32}, "4.weight": {128}}},
		"three layers": {func(c *Config) { c.HeadLayers = 3 }, map[string][]int{
			"0.weight": {32, 32}, "1.weight": {32}, "1.bias": {32}, "3.weight": {32, 32}, "4.weight": {32}, "4.bias": {32}, "6.weight": {128, 32}, "7.weight": {128}}},
		"linear": {func(c *Config) { c.Head = "Linear" }, map[string][]int{"0.weight": {128, 32}, "1.weight": {128}}},
		"none":   {func(c *Config) { c.Head, c.Dimension = "None", 32 }, map[string][]int{}},
		"bottlenecks": {func(c *Config) { c.Depth = 50 }, map[string][]int{
			"0.weight": {128, 128}, "1.weight": {128}, "1.bias": {128}, "3.weight": {128, 128}, "4.weight": {128}}},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Depth: 18, Width: 1. / 16, ImageSize: 8, Dimension: 128}
			tc.change(&c)
			p, err := Contrastive(c, 2, optimizer.Config{Kind: "LARS"})
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
			if got, want := p.Segments[Forward].Fetches[0].Shape(), []int{4, c.Dimension}; !cmp.Equal([]int(got), want) {
				t.Errorf("z has shape %v, want %v", got, want)
			}
		})
	}
}

func TestUnknownArchitectures(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(c *Config)
		want   string
	}{
		"depth":          {func(c *Config) { c.Depth = 20 }, "encoder.depth 20: 18, 34, 50, 101, 152 and 200 are known"},
		"stem":           {func(c *Config) { c.Stem = "MNIST" }, `encoder.stem "MNIST": CIFAR and ImageNet are known`},
		"no bottlenecks": {func(c *Config) { c.SelectiveKernel = "Enabled" }, "encoder.selectiveKernel Enabled: ResNet-18 has no bottlenecks, set encoder.depth to 50 or more"},
		"head":           {func(c *Config) { c.Head = "Deep" }, `projectionHead.type "Deep": NonLinear, Linear and None are known`},
		"features":       {func(c *Config) { c.Representation = "Stem" }, `features "Stem": Encoder, HeadFirstLayer and Projection are known`},
		"no layer":       {func(c *Config) { c.Head, c.Representation = "Linear", "HeadFirstLayer" }, "features HeadFirstLayer need projectionHead.type NonLinear, not Linear"},
		"no head's":      {func(c *Config) { c.Head = "None" }, "z is h and has 32 values, not 128"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Depth: 18, Width: 1. / 16, ImageSize: 8, Dimension: 128}
			tc.change(&c)
			_, err := Contrastive(c, 2, optimizer.Config{Kind: "LARS"})
			if c.Representation != "" {
				_, err = Inference(c, 2, 0)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
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
