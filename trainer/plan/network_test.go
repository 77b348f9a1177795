package plan

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// torchvision's published counts, of its stem (7×7, stride 2, max pooling) and its classifier of 1,000
// classes.
func TestParametersAsPublished(t *testing.T) {
	imageNet := stem{kernel: 7, stride: 2, pool: true}
	for name, tc := range map[string]struct {
		depth int32
		want  int64
	}{
		"ResNet-18": {18, 11_689_512},
		"ResNet-34": {34, 21_797_672},
	} {
		t.Run(name, func(t *testing.T) {
			n := resnet(blocks[tc.depth], 1, imageNet, false, 224)
			if got := n.EncoderParameters + n.classifier(1000); got != tc.want {
				t.Errorf("%d parameters, want %d", got, tc.want)
			}
			if n.Features != 512 {
				t.Errorf("h has %d features, want 512", n.Features)
			}
		})
	}
}

// The largest tensor of torchvision's ResNet-18 on 224 pixels is the stem's, 64×112×112; all
// convolutions together give 2,483,712 values, added up by hand from the table of He et al.
func TestActivationsOfImageNetsResNet(t *testing.T) {
	n := resnet(blocks[18], 1, stem{kernel: 7, stride: 2, pool: true}, false, 224)
	want := int64(64*112*112 + 4*64*56*56 + 5*128*28*28 + 5*256*14*14 + 5*512*7*7)
	if n.activations != want || n.largest != 64*112*112 {
		t.Errorf("%d values, the largest of %d; want %d and %d", n.activations, n.largest, want, 64*112*112)
	}
}

func TestParametersAreTheGraphs(t *testing.T) {
	for name, c := range map[string]model.Config{
		"18":                {Depth: 18, Width: 1, Shortcut: "Torchvision"},
		"34, narrow":        {Depth: 34, Width: 0.3, Shortcut: "Torchvision"},
		"18, Google's":      {Depth: 18, Width: 0.25, Shortcut: "GoogleResearch"},
		"18, one channel":   {Depth: 18, Width: 1. / 64, Shortcut: "Torchvision"},
		"18, twice as wide": {Depth: 18, Width: 2, Shortcut: "GoogleResearch"},
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
			n := resnet(blocks[int32(c.Depth)], c.Width, stems["CIFAR"], c.Shortcut == "GoogleResearch", 8)
			if n.EncoderParameters != want || n.Features != c.Features() {
				t.Errorf("%d parameters and %d features, the graph has %d and %d", n.EncoderParameters, n.Features, want, c.Features())
			}
		})
	}
}
