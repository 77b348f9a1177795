// Package model has the networks as gorgonia graphs: ResNets (He et al. 2015) as encoder f(·), the
// projection head g(·) and a linear classifier, with torchvision's parameter names.
package model

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
)

// Config is a network's architecture.
type Config struct {
	Depth          int              // 18 or 34
	Width          float64          // multiplier of every channel count
	Shortcut       string           // Torchvision or GoogleResearch
	Initialization string           // Reference or PyTorch
	ImageSize      int              // pixels
	Dimension      int              // of z
	OutputShift    bool             // batch norm after the head's last layer has β
	Smooth         bool             // softplus in ReLU's place, for tests that compare executors
	RunningNorm    bool             // batch norm by its running statistics in training too, for tests that compare micro-batches
	Precision      engine.Precision // of the contrastive step
}

// FromSpec is the architecture that a resolved spec describes.
func FromSpec(s *v1alpha1.SimCLRRunSpec) Config {
	precision := engine.FP32
	if s.Pretraining.Precision == v1alpha1.BF16 {
		precision = engine.BF16
	}
	return Config{
		Precision:      precision,
		Depth:          int(s.Encoder.Depth),
		Width:          s.Encoder.WidthMultiplier.MustFloat(),
		Shortcut:       s.Encoder.Shortcut,
		Initialization: s.Encoder.Initialization,
		ImageSize:      int(*s.Dataset.ImageSize),
		Dimension:      int(s.ProjectionHead.Dimension),
		OutputShift:    s.ProjectionHead.OutputNormalization == "ScaleAndShift",
	}
}

// blocks of each of the four groups (He et al. 2015, table 1).
func (c Config) blocks() ([4]int, error) {
	switch c.Depth {
	case 18:
		return [4]int{2, 2, 2, 2}, nil
	case 34:
		return [4]int{3, 4, 6, 3}, nil
	}
	return [4]int{}, fmt.Errorf("encoder.depth %d: 18 and 34 are known", c.Depth)
}

// channels of a layer that has base channels at width 1.
func (c Config) channels(base int) int { return max(1, int(float64(base)*c.Width)) }

// Features is the dimension of h.
func (c Config) Features() int { return c.channels(512) }

const (
	epsilon  = 1e-5 // of batch norm
	momentum = 0.1  // of batch norm's running statistics: a decay of 0.9
)
