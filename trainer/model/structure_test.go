package model

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// layer is a convolution as it stands in the graph.
type layer struct {
	Conv op.Conv2D
	Size int // pixels of its result
}

// In the graph itself: the CIFAR stem keeps the size and every later group halves it, in the first
// convolution of its first block and in that block's shortcut (v1.5 and v1 are the same for ResNet-18).
func TestConvolutionsOfTheGraph(t *testing.T) {
	p, err := Inference(Config{Depth: 18, Width: 1. / 16, Shortcut: "Torchvision", ImageSize: 32}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	order, err := engine.Order(p.Program, p.Segments[0])
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]layer{}
	for _, n := range order {
		o, _ := op.Of(n)
		switch o := o.(type) {
		case op.Conv2D:
			w := engine.Operands(p.Graph, n)[1].Name()
			got[strings.TrimSuffix(w, ".weight")] = layer{o, n.Shape()[3]}
		case op.Normalize:
			if o.Epsilon != 1e-5 {
				t.Errorf("%v has ε %v, want torch's and the reference's 1e-5", n, o.Epsilon)
			}
		}
	}
	keeps, halves, shortcut := op.Conv2D{Stride: 1, Pad: 1}, op.Conv2D{Stride: 2, Pad: 1}, op.Conv2D{Stride: 2}
	want := map[string]layer{
		"conv1":          {keeps, 32},
		"layer1.0.conv1": {keeps, 32}, "layer1.0.conv2": {keeps, 32}, "layer1.1.conv1": {keeps, 32}, "layer1.1.conv2": {keeps, 32},
		"layer2.0.conv1": {halves, 16}, "layer2.0.conv2": {keeps, 16}, "layer2.1.conv1": {keeps, 16}, "layer2.1.conv2": {keeps, 16},
		"layer3.0.conv1": {halves, 8}, "layer3.0.conv2": {keeps, 8}, "layer3.1.conv1": {keeps, 8}, "layer3.1.conv2": {keeps, 8},
		"layer4.0.conv1": {halves, 4}, "layer4.0.conv2": {keeps, 4}, "layer4.1.conv1": {keeps, 4}, "layer4.1.conv2": {keeps, 4},
		"layer2.0.downsample.0": {shortcut, 16}, "layer3.0.downsample.0": {shortcut, 8}, "layer4.0.downsample.0": {shortcut, 4},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("convolutions (-want +got):\n%s", diff)
	}
}
