package model

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// layer is a convolution or pooling as it stands in the graph.
type layer struct {
	Operator op.Operator
	Size     int // pixels of its result
}

// layersOf are the convolutions of an encoder's graph by their weights' names, and its max pooling.
func layersOf(t *testing.T, c Config) map[string]layer {
	t.Helper()
	p, err := Inference(c, 1, 0)
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
		case op.MaxPool2D:
			got["max pool"] = layer{o, n.Shape()[3]}
		case op.Normalize:
			if o.Epsilon != 1e-5 {
				t.Errorf("%v has ε %v, want torch's and the reference's 1e-5", n, o.Epsilon)
			}
		}
	}
	return got
}

var keeps, halves, shortcut = op.Conv2D{Stride: 1, Pad: 1}, op.Conv2D{Stride: 2, Pad: 1}, op.Conv2D{Stride: 2}

// In the graph itself: the CIFAR stem keeps the size and every later group halves it, in the first
// convolution of its first block and in that block's shortcut (v1.5 and v1 are the same for ResNet-18).
func TestConvolutionsOfTheGraph(t *testing.T) {
	want := map[string]layer{
		"conv1":          {keeps, 32},
		"layer1.0.conv1": {keeps, 32}, "layer1.0.conv2": {keeps, 32}, "layer1.1.conv1": {keeps, 32}, "layer1.1.conv2": {keeps, 32},
		"layer2.0.conv1": {halves, 16}, "layer2.0.conv2": {keeps, 16}, "layer2.1.conv1": {keeps, 16}, "layer2.1.conv2": {keeps, 16},
		"layer3.0.conv1": {halves, 8}, "layer3.0.conv2": {keeps, 8}, "layer3.1.conv1": {keeps, 8}, "layer3.1.conv2": {keeps, 8},
		"layer4.0.conv1": {halves, 4}, "layer4.0.conv2": {keeps, 4}, "layer4.1.conv1": {keeps, 4}, "layer4.1.conv2": {keeps, 4},
		"layer2.0.downsample.0": {shortcut, 16}, "layer3.0.downsample.0": {shortcut, 8}, "layer4.0.downsample.0": {shortcut, 4},
	}
	got := layersOf(t, Config{Depth: 18, Width: 1. / 16, Shortcut: "Torchvision", ImageSize: 32})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("convolutions (-want +got):\n%s", diff)
	}
}

// The ImageNet stem quarters the size, and a bottleneck's stride is on its 3×3 convolution (v1.5).
func TestBottlenecksOfTheGraph(t *testing.T) {
	want := map[string]layer{"conv1": {op.Conv2D{Stride: 2, Pad: 3}, 112}, "max pool": {op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, 56}}
	size, pointwise := 56, op.Conv2D{Stride: 1}
	for group, blocks := range []int{3, 4, 6, 3} {
		for b := range blocks {
			at := fmt.Sprintf("layer%d.%d.", group+1, b)
			first, second := layer{pointwise, size}, layer{keeps, size}
			if b == 0 && group > 0 {
				second = layer{halves, size / 2}
				size /= 2
				want[at+"downsample.0"] = layer{shortcut, size}
			} else if b == 0 {
				want[at+"downsample.0"] = layer{pointwise, size}
			}
			want[at+"conv1"], want[at+"conv2"], want[at+"conv3"] = first, second, layer{pointwise, size}
		}
	}
	got := layersOf(t, Config{Depth: 50, Width: 1. / 16, Stem: "ImageNet", Shortcut: "Torchvision", ImageSize: 224})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
}
