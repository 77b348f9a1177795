package model

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// encoder is f(·): images (N, 3, S, S) in [0, 1] to h (N, Features).
func (n *network) encoder(x *gorgonia.Node) *gorgonia.Node {
	blocks, err := n.blocks()
	if err != nil {
		return n.fail("%w", err)
	}
	if n.selective() && !n.bottlenecks() {
		return n.fail("encoder.selectiveKernel Enabled: ResNet-%d has no bottlenecks, set encoder.depth to 50 or more", n.Depth)
	}
	y := n.stem(x)
	in := n.channels(64)
	for group, count := range blocks {
		for i := range count {
			b := block{name: fmt.Sprintf("layer%d.%d", group+1, i), inner: n.channels(64 << group), stride: 1}
			b.out = b.inner * n.expansion()
			if i == 0 && group > 0 {
				b.stride = 2
			}
			b.project = b.stride != 1 || in != b.out || (i == 0 && n.Shortcut == "GoogleResearch")
			y = n.block(y, b)
			in = b.out
		}
	}
	return n.apply(op.GlobalAveragePool{}, y)
}

// stem is the first layers. CIFAR: a 3×3 convolution of stride 1, no max pooling (paper appendix B.9).
// ImageNet: 7×7 of stride 2, then 3×3 max pooling of stride 2 (He et al. 2015, table 1), padded by one
// value on each side as torchvision does; google-research/simclr pads the lower and right side alone. ResNet-D has
// three 3×3 convolutions in place of the 7×7.
func (n *network) stem(x *gorgonia.Node) *gorgonia.Node {
	switch n.Stem {
	case "", v1alpha1.StemCIFAR:
		return n.layer(x, "conv1", "bn1", n.channels(64), 3, 1)
	case v1alpha1.StemImageNet:
		var y *gorgonia.Node
		if n.selective() {
			y = n.deepStem(x)
		} else {
			y = n.layer(x, "conv1", "bn1", n.channels(64), 7, 2)
		}
		return n.apply(op.MaxPool2D{Size: 3, Stride: 2, Pad: 1}, y)
	}
	return n.fail("encoder.stem %q: CIFAR and ImageNet are known", n.Stem)
}

// layer is a k×k convolution, batch norm and the activation.
func (n *network) layer(x *gorgonia.Node, conv, norm string, out, k, stride int) *gorgonia.Node {
	return n.activate(n.batchNorm(n.conv(x, conv, out, k, stride), norm, 1, true))
}

// block is a residual block's place and shape.
type block struct {
	name       string
	inner, out int // channels of its 3×3 convolution and of its result
	stride     int
	project    bool // its shortcut is a projection
}

// block adds a shortcut to two or three convolutions. A bottleneck's stride is on its 3×3 convolution
// (ResNet v1.5, as in google-research/simclr and torchvision).
func (n *network) block(x *gorgonia.Node, b block) *gorgonia.Node {
	at := b.name + "."
	var y *gorgonia.Node
	if n.bottlenecks() {
		y = n.layer(x, at+"conv1", at+"bn1", b.inner, 1, 1)
		if n.selective() {
			y = n.selectiveKernel(y, at, b.inner, b.stride)
		} else {
			y = n.layer(y, at+"conv2", at+"bn2", b.inner, 3, b.stride)
		}
		y = n.batchNorm(n.conv(y, at+"conv3", b.out, 1, 1), at+"bn3", n.lastGamma(), true)
	} else {
		y = n.layer(x, at+"conv1", at+"bn1", b.inner, 3, b.stride)
		y = n.batchNorm(n.conv(y, at+"conv2", b.out, 3, 1), at+"bn2", n.lastGamma(), true)
	}
	if b.project {
		x = n.projection(x, b)
	}
	return n.activate(n.apply(op.Add{}, y, x))
}

// projection is a shortcut that changes the shape.
func (n *network) projection(x *gorgonia.Node, b block) *gorgonia.Node {
	at := b.name + ".downsample."
	if n.selective() {
		y := n.conv(n.averagePool(x, b.stride), at+"1", b.out, 1, 1)
		return n.batchNorm(y, at+"2", 1, true)
	}
	return n.batchNorm(n.conv(x, at+"0", b.out, 1, b.stride), at+"1", 1, true)
}
