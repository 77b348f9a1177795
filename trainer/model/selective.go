package model

import (
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// SimCLRv2's encoders (arXiv 2006.10029, section 2 and table 1) are ResNet-D (He et al. 2018, arXiv 1812.01187) with
// selective kernels (Li et al. 2019, arXiv 1903.06586), as google-research/simclr resnet.py has them for sk_ratio 0.0625.
// Parameters are named as timm names those of resnet50d and of its selective kernels' attention.
const (
	reduction = 16 // of channels, between a kernel's average and its weights: 1/sk_ratio
	leastKept = 32 // channels (SK_Conv2D's min_dim)
)

// deepStem is ResNet-D's three 3×3 convolutions, the first with stride 2, the first two of half the channels.
func (n *network) deepStem(x *gorgonia.Node) *gorgonia.Node {
	y := n.layer(x, "conv1.0", "conv1.1", n.channels(32), 3, 2)
	y = n.layer(y, "conv1.3", "conv1.4", n.channels(32), 3, 1)
	return n.layer(y, "conv1.6", "bn1", n.channels(64), 3, 1)
}

// averagePool is what ResNet-D's shortcuts have before their 1×1 convolution: 2×2, of stride 1 too. As in the reference
// a row and a column of zeros follow the image; of stride 2 they count as values, which shows in odd sizes, of
// stride 1 they do not.
func (n *network) averagePool(x *gorgonia.Node, stride int) *gorgonia.Node {
	return n.apply(op.AveragePool2D{Size: 2, Stride: stride, After: 1, CountZeros: stride > 1}, x)
}

// selectiveKernel is a bottleneck's middle layer: two streams of out channels, which one 3×3 convolution of twice as
// many computes, mixed by weights that add up to 1, a pair for each channel of each image, which follow from the
// average of the streams' sum.
func (n *network) selectiveKernel(x *gorgonia.Node, at string, out, stride int) *gorgonia.Node {
	y := n.layer(x, at+"conv2", at+"bn2", 2*out, 3, stride)
	// the sum of averages is the average of the sum, and less to add up
	s := n.apply(op.SumStreams{}, n.apply(op.GlobalAveragePool{}, y))
	// 1×1 convolutions of single pixels are dense layers, but for their first values
	s = n.dense(s, at+"attn.fc_reduce", max(out/reduction, leastKept), n.convInit)
	s = n.activate(n.batchNorm(s, at+"attn.bn", 1, true))
	s = n.dense(s, at+"attn.fc_select", 2*out, n.convInit)
	return n.apply(op.MixStreams{}, y, n.apply(op.StreamSoftmax{}, s))
}
