package plan

import (
	"math"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// torchvision's published counts and multiply-adds (its weights' num_params and _ops), of its stem on 224
// pixels and its classifier of 1,000 classes.
func TestNumbersAsTorchvisionPublishes(t *testing.T) {
	for name, tc := range map[string]struct {
		depth        int32
		parameters   int64
		features     int
		multiplyAdds float64 // billions
	}{
		"ResNet-18":  {18, 11_689_512, 512, 1.814},
		"ResNet-34":  {34, 21_797_672, 512, 3.664},
		"ResNet-50":  {50, 25_557_032, 2048, 4.089},
		"ResNet-101": {101, 44_549_160, 2048, 7.801},
		"ResNet-152": {152, 60_192_808, 2048, 11.514},
	} {
		t.Run(name, func(t *testing.T) {
			n := architecture{depth: tc.depth, width: 1, imageNet: true, imageSize: 224}.network()
			if got := n.EncoderParameters + (classifier{features: n.Features}).parameters(1000); got != tc.parameters {
				t.Errorf("%d parameters, want %d", got, tc.parameters)
			}
			if n.Features != tc.features {
				t.Errorf("h has %d features, want %d", n.Features, tc.features)
			}
			if got := float64(n.MultiplyAdds+1000*int64(n.Features)) / 1e9; math.Abs(got-tc.multiplyAdds) > 0.0005 {
				t.Errorf("%.4f billion multiply-adds, want %.3f", got, tc.multiplyAdds)
			}
		})
	}
}

// The encoders' sizes in millions as SimCLR tells them (table 6, and for deeper ones SimCLRv2), and google-research/simclr's
// ResNet-18 for CIFAR-10.
func TestParametersAsPublished(t *testing.T) {
	for name, tc := range map[string]struct {
		a    architecture
		want float64
	}{
		"ResNet-50":        {architecture{depth: 50, width: 1, imageNet: true}, 24},
		"ResNet-50, 2×":    {architecture{depth: 50, width: 2, imageNet: true}, 94},
		"ResNet-50, 4×":    {architecture{depth: 50, width: 4, imageNet: true}, 375},
		"ResNet-101":       {architecture{depth: 101, width: 1, imageNet: true}, 43},
		"ResNet-101, 2×":   {architecture{depth: 101, width: 2, imageNet: true}, 170},
		"ResNet-152":       {architecture{depth: 152, width: 1, imageNet: true}, 58},
		"ResNet-18, CIFAR": {architecture{depth: 18, width: 1}, 11.2},
	} {
		t.Run(name, func(t *testing.T) {
			tc.a.imageSize = 32
			unit := 1.
			if tc.want < 20 {
				unit = 0.1 // as far as it is told
			}
			if got := math.Round(float64(tc.a.network().EncoderParameters)/1e6/unit) * unit; math.Abs(got-tc.want) > 1e-9 {
				t.Errorf("%v million parameters, want %v", got, tc.want)
			}
		})
	}
}

// The encoders' sizes in millions in SimCLRv2's table 1. They are reached where batch norm's running statistics are
// counted as well.
func TestParametersOfSimCLRv2(t *testing.T) {
	type encoder struct {
		depth     int
		width     float64
		selective v1alpha1.Mode
	}
	for e, want := range map[encoder]float64{
		{50, 1, v1alpha1.Disabled}: 24, {50, 1, v1alpha1.Enabled}: 35, {50, 2, v1alpha1.Disabled}: 94, {50, 2, v1alpha1.Enabled}: 140,
		{101, 1, v1alpha1.Disabled}: 43, {101, 1, v1alpha1.Enabled}: 65, {101, 2, v1alpha1.Disabled}: 170, {101, 2, v1alpha1.Enabled}: 257,
		{152, 1, v1alpha1.Disabled}: 58, {152, 1, v1alpha1.Enabled}: 89, {152, 2, v1alpha1.Disabled}: 233, {152, 2, v1alpha1.Enabled}: 354,
		{152, 3, v1alpha1.Enabled}: 795,
	} {
		a := architecture{depth: int32(e.depth), width: e.width, imageNet: true, selective: e.selective == v1alpha1.Enabled, imageSize: 32}
		count := a.network().EncoderParameters
		_, stats, err := model.Encoder(model.Config{Depth: e.depth, Width: e.width, Stem: "ImageNet", SelectiveKernel: e.selective, ImageSize: 32})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stats {
			count += 2 * int64(s.Channels)
		}
		if got := math.Round(float64(count) / 1e6); got != want {
			t.Errorf("%+v: %v million, want %v", e, got, want)
		}
	}
}

// The largest tensor of torchvision's ResNet-18 on 224 pixels is the stem's, 64×112×112; all
// convolutions together give 2,483,712 values, added up by hand from the table of He et al. The backward pass
// needs each twice, before and after batch norm, and the max pooling's result.
func TestActivationsOfImageNetsResNet(t *testing.T) {
	n := architecture{depth: 18, width: 1, imageNet: true, imageSize: 224}.network()
	want := int64(2*(64*112*112+4*64*56*56+5*128*28*28+5*256*14*14+5*512*7*7) + 64*56*56)
	if n.kept != want || n.largest != 64*112*112 {
		t.Errorf("%d values, the largest of %d; want %d and %d", n.kept, n.largest, want, 64*112*112)
	}
}

// Of 32 pixels, 8 are left before the groups. The stem has three layers and the pooling; each group one shortcut that
// averages and projects; each block 1×1, 3×3 to two streams, their mixture and 1×1.
func TestActivationsOfSelectiveKernels(t *testing.T) {
	n := architecture{depth: 50, width: 1, imageNet: true, selective: true, imageSize: 32}.network()
	want := 2*(32+32+64)*16*16 + 64*8*8
	in, size := 64, 8
	for group, blocks := range []int{3, 4, 6, 3} {
		inner, before := 64<<group, size
		if group > 0 {
			size /= 2
		}
		want += in*size*size + 2*4*inner*size*size // the shortcut's average and convolution
		for b := range blocks {
			first := size
			if b == 0 {
				first = before
			}
			want += 2*inner*first*first + (2*2+1+2*4)*inner*size*size
		}
		in = 4 * inner
	}
	if n.kept != int64(want) {
		t.Errorf("%d values, want %d", n.kept, want)
	}
}

func TestParametersAreTheGraphs(t *testing.T) {
	for name, c := range map[string]model.Config{
		"18":                {Depth: 18, Width: 1, Shortcut: "Torchvision"},
		"34, narrow":        {Depth: 34, Width: 0.3, Shortcut: "Torchvision"},
		"18, Google's":      {Depth: 18, Width: 0.25, Shortcut: "GoogleResearch"},
		"18, one channel":   {Depth: 18, Width: 1. / 64, Shortcut: "Torchvision"},
		"18, twice as wide": {Depth: 18, Width: 2, Shortcut: "GoogleResearch"},
		"18, ImageNet":      {Depth: 18, Width: 0.25, Shortcut: "Torchvision", Stem: "ImageNet"},
		"50":                {Depth: 50, Width: 1, Shortcut: "Torchvision", Stem: "ImageNet"},
		"50, Google's":      {Depth: 50, Width: 0.3, Shortcut: "GoogleResearch"},
		"101":               {Depth: 101, Width: 0.0625, Shortcut: "Torchvision", Stem: "ImageNet"},
		"152":               {Depth: 152, Width: 0.0625, Shortcut: "Torchvision"},
		"200":               {Depth: 200, Width: 0.0625, Shortcut: "Torchvision"},
		"50 SK":             {Depth: 50, Width: 1, Shortcut: "Torchvision", Stem: "ImageNet", SelectiveKernel: "Enabled"},
		"50 SK, narrow":     {Depth: 50, Width: 0.3, Shortcut: "GoogleResearch", Stem: "ImageNet", SelectiveKernel: "Enabled"},
		"101 SK, CIFAR":     {Depth: 101, Width: 0.0625, Shortcut: "Torchvision", SelectiveKernel: "Enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			c.ImageSize, c.Initialization = 8, "Reference"
			ps, _, err := model.Encoder(c)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(0)
			for _, p := range ps {
				want += int64(engine.Size(p.Shape))
			}
			n := architecture{
				depth: int32(c.Depth), width: c.Width, imageNet: c.Stem == "ImageNet", projected: c.Shortcut == "GoogleResearch", selective: c.SelectiveKernel == "Enabled", imageSize: 8,
			}.network()
			if n.EncoderParameters != want || n.Features != c.Features() {
				t.Errorf("%d parameters and %d features, the graph has %d and %d", n.EncoderParameters, n.Features, want, c.Features())
			}
		})
	}
}

// The head's count is the graph's, for every type.
func TestHeadParametersAreTheGraphs(t *testing.T) {
	for name, head := range map[string]v1alpha1.ProjectionHeadSpec{
		"the paper's": {},
		"SimCLRv2's":  {Layers: 3},
		"shifted":     {OutputNormalization: "ScaleAndShift", Dimension: 32},
		"linear":      {Type: v1alpha1.HeadLinear},
		"none":        {Type: v1alpha1.HeadNone},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := v1alpha1.Resolve(&v1alpha1.SimCLRRun{Spec: v1alpha1.SimCLRRunSpec{
				Dataset: v1alpha1.DatasetSpec{Name: "cifar-10"}, Encoder: v1alpha1.EncoderSpec{WidthMultiplier: "0.25"}, ProjectionHead: head,
			}})
			if err != nil {
				t.Fatal(err)
			}
			n, err := describe(&r.Spec)
			if err != nil {
				t.Fatal(err)
			}
			c := model.FromSpec(&r.Spec)
			p, err := model.Contrastive(c, 1, optimizer.Config{Kind: "Plain"})
			if err != nil {
				t.Fatal(err)
			}
			want := int64(0)
			for _, q := range p.Parameters {
				want += int64(engine.Size(q.Shape))
			}
			if got := n.EncoderParameters + n.HeadParameters; got != want || n.Dimension != c.Dimension {
				t.Errorf("%d parameters and z of %d, the graph has %d and %d", got, n.Dimension, want, c.Dimension)
			}
		})
	}
}
