package model

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// head is g(·): h (N, Features) to z (N, Dimension) (google-research/simclr model_util.py,
// projection_head). Its layers are named as those of a torch.nn.Sequential are: dense 0, batch norm 1, ReLU
// 2, dense 3 and so on.
func (n *network) head(h *gorgonia.Node) *gorgonia.Node {
	switch n.Head {
	case "", v1alpha1.HeadNonLinear:
		hidden := n.headLayers() - 1
		return n.output(n.hidden(h, hidden), hidden)
	case v1alpha1.HeadLinear:
		return n.output(h, 0)
	case v1alpha1.HeadNone:
		if n.Dimension != n.Features() {
			return n.fail("without a projection head z is h and has %d values, not %d", n.Features(), n.Dimension)
		}
		return h
	}
	return n.fail("projectionHead.type %q: NonLinear, Linear and None are known", n.Head)
}

// representation is what a classifier sees of images.
func (n *network) representation(x *gorgonia.Node) *gorgonia.Node {
	h := n.encoder(x)
	switch n.Representation {
	case "", v1alpha1.FeaturesEncoder:
		return h
	case v1alpha1.FeaturesProjection:
		return n.head(h)
	case v1alpha1.FeaturesHeadFirstLayer:
		if n.Head != "" && n.Head != v1alpha1.HeadNonLinear {
			return n.fail("features HeadFirstLayer need projectionHead.type NonLinear, not %s", n.Head)
		}
		return n.hidden(h, 1)
	}
	return n.fail("features %q: Encoder, HeadFirstLayer and Projection are known", n.Representation)
}

// hidden are the first layers of a nonlinear head, each as wide as h: dense, batch norm, activation.
func (n *network) hidden(y *gorgonia.Node, layers int) *gorgonia.Node {
	for i := range layers {
		y = n.activate(n.batchNorm(n.dense(y, headName(i, 0), n.Features(), n.denseInit), headName(i, 1), 1, true))
	}
	return y
}

// output is the head's last layer: dense and batch norm, no activation.
func (n *network) output(y *gorgonia.Node, at int) *gorgonia.Node {
	return n.batchNorm(n.dense(y, headName(at, 0), n.Dimension, n.denseInit), headName(at, 1), 1, n.OutputShift)
}

// HeadPrefix begins the names of the head's parameters.
const HeadPrefix = "projection."

func headName(layer, part int) string { return fmt.Sprint(HeadPrefix, 3*layer+part) }

// classifier is the linear layer fc: features (N, D) to logits (N, classes).
func (n *network) classifier(x *gorgonia.Node, classes int, init Init) *gorgonia.Node {
	if n.err != nil {
		return nil
	}
	w := n.parameter("fc.weight", optimizer.SupervisedHead, init, classes, x.Shape()[1])
	b := n.parameter("fc.bias", optimizer.Bias, constant(0), classes)
	return n.apply(op.AddBias{}, n.apply(op.Dense{}, x, w), b)
}
