package pretrain

import (
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// momentum of both optimizers (google-research/simclr run.py).
const momentum = 0.9

// FromSpec is the contrastive step that a resolved spec describes, of so many images a worker, so many at once.
func FromSpec(s *v1alpha1.SimCLRRunSpec, images, microBatch int) Config {
	p := s.Pretraining
	return Config{
		Model: model.FromSpec(s), Images: images, MicroBatch: microBatch, Statistics: p.BatchNormStatistics,
		Temperature: p.Temperature.MustFloat(), Seed: *p.Seed,
		Optimizer: optimizer.Config{Kind: p.Optimizer, Momentum: momentum, WeightDecay: p.WeightDecay.MustFloat()},
	}
}

// Programs are what an engine compiles for a step by one worker: the whole step where it is one program, else the
// network's and NT-Xent's.
func Programs(c Config) ([]engine.Program, error) {
	if c.MicroBatch == 0 || c.MicroBatch == c.Images {
		p, err := model.Whole(c.Model, c.Images, c.Temperature, c.Optimizer)
		if err != nil {
			return nil, err
		}
		return []engine.Program{p.Program}, nil
	}
	p, err := model.MicroBatch(c.Model, c.MicroBatch, c.Optimizer)
	if err != nil {
		return nil, err
	}
	loss, err := model.NTXent(2*c.Images, c.Model.Dimension, c.Temperature)
	return []engine.Program{p.Program, loss}, err
}
