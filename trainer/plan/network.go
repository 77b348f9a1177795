package plan

import (
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Network in numbers, by formula: it is not asked of the graph, which is tested against it.
type Network struct {
	Name              string // such as ResNet-18 (0.25×)
	Features          int    // dimension of h
	Dimension         int    // of z
	EncoderParameters int64
	HeadParameters    int64
	MultiplyAdds      int64 // of the encoder's forward pass of one image

	imageSize int
	kept      int64 // values of one image that the backward pass needs
	largest   int64 // values of the largest layer for one image
}

// maxWidth keeps parameter counts and memory far from overflow; the paper's widest is 4.
const maxWidth = 64

func describe(s *v1alpha1.SimCLRRunSpec) (Network, error) {
	width, err := positive("encoder.widthMultiplier", s.Encoder.WidthMultiplier)
	if err != nil {
		return Network{}, err
	}
	if int(64*width) < 1 || width > maxWidth {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.widthMultiplier %s; set it between \"0.015625\", which leaves one channel, and \"%d\"", s.Encoder.WidthMultiplier, maxWidth)
	}
	if _, ok := blocks[s.Encoder.Depth]; !ok {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.depth %d; set it to 18, 34, 50, 101, 152 or 200", s.Encoder.Depth)
	}
	if stem := s.Encoder.Stem; stem != v1alpha1.StemCIFAR && stem != v1alpha1.StemImageNet {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.stem %q; set it to CIFAR or ImageNet", stem)
	}
	if s.Dataset.ImageSize == nil {
		return Network{}, unresolved("dataset.imageSize")
	}
	selective := s.Encoder.SelectiveKernel == v1alpha1.Enabled
	if selective && s.Encoder.Depth < 50 {
		return Network{}, contract.UserErrorf("InvalidSpec", "encoder.selectiveKernel Enabled needs bottlenecks; set encoder.depth to 50, 101, 152 or 200, it is %d", s.Encoder.Depth)
	}
	n := architecture{
		depth: s.Encoder.Depth, width: width, imageNet: s.Encoder.Stem == v1alpha1.StemImageNet,
		projected: s.Encoder.Shortcut == "GoogleResearch", selective: selective, imageSize: int(*s.Dataset.ImageSize),
	}.network()
	variant := "×"
	if selective {
		variant = "×+SK" // as SimCLRv2 writes it
	}
	n.Name = "ResNet-" + strconv.Itoa(int(s.Encoder.Depth)) + " (" + string(s.Encoder.WidthMultiplier) + variant + ")"
	err = n.addHead(s.ProjectionHead)
	return n, err
}

// addHead counts the projection head: layers of dense and batch norm.
func (n *Network) addHead(h v1alpha1.ProjectionHeadSpec) error {
	n.Dimension = int(h.Dimension)
	features, dimension := int64(n.Features), int64(h.Dimension)
	hidden := int64(h.Layers) - 1
	switch h.Type {
	case v1alpha1.HeadNone:
		n.Dimension = n.Features
		return nil
	case v1alpha1.HeadLinear:
		hidden = 0
	case v1alpha1.HeadNonLinear:
		if h.Layers != 2 && h.Layers != 3 {
			return contract.UserErrorf("InvalidSpec", "projectionHead.layers %d; set it to 2 or 3", h.Layers)
		}
	default:
		return contract.UserErrorf("InvalidSpec", "projectionHead.type %q; set it to NonLinear, Linear or None", h.Type)
	}
	n.HeadParameters = hidden*n.hiddenLayer() + features*dimension + dimension
	if h.OutputNormalization == "ScaleAndShift" {
		n.HeadParameters += dimension
	}
	return nil
}

// hiddenLayer of a head, as wide as h: dense, and batch norm with γ and β.
func (n *Network) hiddenLayer() int64 { return int64(n.Features) * int64(n.Features+2) }

// classifier is what a linear classifier stands on: the length of its features, and how many of the projection
// head's parameters are before it.
type classifier struct {
	features int
	head     int64
}

// classifier on features that a field names.
func (n *Network) classifier(h v1alpha1.ProjectionHeadSpec, field string, f v1alpha1.Features) (classifier, error) {
	switch f {
	case v1alpha1.FeaturesEncoder:
		return classifier{n.Features, 0}, nil
	case v1alpha1.FeaturesProjection:
		return classifier{n.Dimension, n.HeadParameters}, nil
	case v1alpha1.FeaturesHeadFirstLayer:
		if h.Type == v1alpha1.HeadNonLinear {
			return classifier{n.Features, n.hiddenLayer()}, nil
		}
		return classifier{}, contract.UserErrorf("InvalidSpec", "%s HeadFirstLayer needs projectionHead.type NonLinear, it is %s; set it to Encoder or Projection", field, h.Type)
	}
	return classifier{}, contract.UserErrorf("InvalidSpec", "%s %q; set it to Encoder, HeadFirstLayer or Projection", field, f)
}

// parameters of its own: weights and biases.
func (c classifier) parameters(classes int) int64 { return int64(c.features+1) * int64(classes) }

const float32Bytes, bfloat16Bytes = 4, 2

// step estimates a training step's memory: weights, gradients, momenta, and as much as the weights for what kernels need (weights
// in their own layouts, transformed tiles); for each view the pixels, and, of so many bytes a value, what
// the backward pass needs and the gradients that live at once.
func (n Network) step(all, trained, views, valueBytes int64) (fixed, perImage int64) {
	fixed = float32Bytes * (all + 3*trained)
	pixels := 3 * int64(n.imageSize) * int64(n.imageSize)
	return fixed, views * (float32Bytes*pixels + valueBytes*(n.kept+2*n.largest))
}

// inference needs only the tensors that live at once.
func (n Network) inference(all int64) (fixed, perImage int64) {
	pixels := 3 * int64(n.imageSize) * int64(n.imageSize)
	return float32Bytes * all, float32Bytes * (pixels + 6*n.largest)
}
