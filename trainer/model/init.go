package model

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
)

// Init draws a parameter's first value.
type Init func(r *rand.Rand) float32

// Draw is a parameter's first value for a seed; it does not depend on other parameters.
func (p Parameter) Draw(seed int64) engine.Tensor {
	h := fnv.New64a()
	h.Write([]byte(p.Name))
	r := rand.New(rand.NewPCG(uint64(seed), h.Sum64()))
	t := engine.NewTensor(p.Shape...)
	for i := range t.Data {
		t.Data[i] = p.Init(r)
	}
	return t
}

func constant(v float32) Init { return func(*rand.Rand) float32 { return v } }

func normal(std float64) Init {
	return func(r *rand.Rand) float32 { return float32(r.NormFloat64() * std) }
}

// uniform in ±1/√fanIn: torch.nn.Conv2d's and Linear's default, kaiming_uniform_(a=√5).
func uniform(fanIn int) Init {
	bound := 1 / math.Sqrt(float64(fanIn))
	return func(r *rand.Rand) float32 { return float32((2*r.Float64() - 1) * bound) }
}

// truncated normal of variance 1/fanIn: TensorFlow's variance_scaling_initializer, which
// google-research/simclr resnet.py uses. 0.8796 is the deviation of a normal cut at ±2.
func truncated(fanIn int) Init {
	std := math.Sqrt(1/float64(fanIn)) / 0.87962566103423978
	return func(r *rand.Rand) float32 {
		for {
			if v := r.NormFloat64(); math.Abs(v) <= 2 {
				return float32(v * std)
			}
		}
	}
}

func (c Config) convInit(fanIn int) Init {
	if c.Initialization == "PyTorch" {
		return uniform(fanIn)
	}
	return truncated(fanIn)
}

func (c Config) denseInit(fanIn int) Init {
	if c.Initialization == "PyTorch" {
		return uniform(fanIn)
	}
	return normal(0.01)
}

// lastGamma is the first γ of a block's last batch norm: 0 makes the block the identity
// (google-research/simclr resnet.py, init_zero).
func (c Config) lastGamma() float32 {
	if c.Initialization == "PyTorch" {
		return 1
	}
	return 0
}
