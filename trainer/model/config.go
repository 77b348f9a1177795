// Package model has the networks as gorgonia graphs: ResNets (He et al. 2015) as encoder f(·), the
// projection head g(·) and a linear classifier, with torchvision's parameter names.
package model

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
)

// Config is a network's architecture. Its words are the API's.
type Config struct {
	Depth    int     // 18, 34, 50, 101, 152 or 200
	Width    float64 // multiplier of every channel count
	Stem     string  // CIFAR, which "" is too, or ImageNet
	Shortcut string  // Torchvision or GoogleResearch
	// SelectiveKernel Enabled: selective kernels in ResNet-D, of bottlenecks alone; "" is Disabled.
	SelectiveKernel v1alpha1.Mode
	Initialization  string           // Reference or PyTorch
	ImageSize       int              // pixels
	Head            string           // NonLinear, which "" is too, Linear or None
	HeadLayers      int              // of a nonlinear head, 2 (which 0 is too) or 3
	Dimension       int              // of z
	OutputShift     bool             // batch norm after the head's last layer has β
	Smooth          bool             // softplus in ReLU's place, for tests that compare executors
	RunningNorm     bool             // batch norm by its running statistics in training too, for tests that compare micro-batches
	Precision       engine.Precision // of the contrastive step
	// NormWorkers are how many workers' views batch norm normalises together in training, each having as many; 0 is 1.
	NormWorkers int
	// Representation is what Inference gives and a classifier sees: h, which "" is too, what the head's first layer
	// gives, or z.
	Representation v1alpha1.Features
}

// FromSpec is the architecture that a resolved spec describes.
func FromSpec(s *v1alpha1.SimCLRRunSpec) Config {
	precision := engine.FP32
	if s.Pretraining.Precision == v1alpha1.BF16 {
		precision = engine.BF16
	}
	c := Config{
		Precision:       precision,
		Depth:           int(s.Encoder.Depth),
		Width:           s.Encoder.WidthMultiplier.MustFloat(),
		Stem:            s.Encoder.Stem,
		Shortcut:        s.Encoder.Shortcut,
		SelectiveKernel: s.Encoder.SelectiveKernel,
		Initialization:  s.Encoder.Initialization,
		ImageSize:       int(*s.Dataset.ImageSize),
		Head:            s.ProjectionHead.Type,
		HeadLayers:      int(s.ProjectionHead.Layers),
		Dimension:       int(s.ProjectionHead.Dimension),
		OutputShift:     s.ProjectionHead.OutputNormalization == "ScaleAndShift",
	}
	if c.Head == v1alpha1.HeadNone {
		c.Dimension = c.Features()
	}
	return c
}

// blocks of each of the four groups (He et al. 2015, table 1; 200: google-research/simclr resnet.py).
func (c Config) blocks() ([4]int, error) {
	switch c.Depth {
	case 18:
		return [4]int{2, 2, 2, 2}, nil
	case 34, 50:
		return [4]int{3, 4, 6, 3}, nil
	case 101:
		return [4]int{3, 4, 23, 3}, nil
	case 152:
		return [4]int{3, 8, 36, 3}, nil
	case 200:
		return [4]int{3, 24, 36, 3}, nil
	}
	return [4]int{}, fmt.Errorf("encoder.depth %d: 18, 34, 50, 101, 152 and 200 are known", c.Depth)
}

// bottlenecks: blocks of three convolutions, else of two (He et al. 2015, figure 5).
func (c Config) bottlenecks() bool { return c.Depth >= 50 }

// selective: selective kernels and ResNet-D.
func (c Config) selective() bool { return c.SelectiveKernel == v1alpha1.Enabled }

// expansion is a block's output channels over its inner ones.
func (c Config) expansion() int {
	if c.bottlenecks() {
		return 4
	}
	return 1
}

// channels of a layer that has base channels at width 1.
func (c Config) channels(base int) int { return max(1, int(float64(base)*c.Width)) }

// Features is the dimension of h.
func (c Config) Features() int { return c.expansion() * c.channels(512) }

// RepresentationSize is the length of what Representation names.
func (c Config) RepresentationSize() int {
	if c.Representation == v1alpha1.FeaturesProjection {
		return c.Dimension
	}
	return c.Features()
}

// headLayers of a nonlinear head.
func (c Config) headLayers() int {
	if c.HeadLayers == 0 {
		return 2
	}
	return c.HeadLayers
}

const (
	epsilon  = 1e-5 // of batch norm
	momentum = 0.1  // of batch norm's running statistics: a decay of 0.9
)
