package augment

import (
	"math/rand/v2"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// forViews keeps the random numbers of views apart from others of the same seed.
const forViews = 0x5649455753

// Pipeline makes views. It holds scratch memory: one goroutine at a time.
type Pipeline struct {
	c        Config
	seed     uint64
	pcg      *rand.PCG
	rng      *rand.Rand
	resample resampler
	steps    steps
	blur     blurrer
}

var _ dataset.Transform = (*Pipeline)(nil)

// New checks the configuration; what is wrong in it is a user error.
func New(c Config, seed uint64) (*Pipeline, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return newPipeline(c, seed), nil
}

// Factory checks the configuration once and gives dataset.LoaderConfig its NewTransform.
func Factory(c Config, seed uint64) (func() dataset.Transform, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return func() dataset.Transform { return newPipeline(c, seed) }, nil
}

func newPipeline(c Config, seed uint64) *Pipeline {
	p := &Pipeline{c: c, seed: seed, pcg: rand.NewPCG(0, 0)}
	p.rng = rand.New(p.pcg)
	p.resample.init(c.Size, c.Crop.Filter)
	p.blur.init(c.Size)
	return p
}

// Apply makes a view that depends on seed, epoch, index of the image, and view alone.
func (p *Pipeline) Apply(dst []float32, img dataset.Image, epoch, index, view int) {
	p.pcg.Seed(dataset.Hash(forViews, p.seed, uint64(epoch), uint64(index), uint64(view)))
	p.view(dst, img)
}

// view writes a view (3,Size,Size) in [0,1] to dst.
func (p *Pipeline) view(dst []float32, img dataset.Image) {
	box := p.c.box(img.W, img.H, p.rng)
	flip := p.c.Flip.On && p.rng.Float64() < p.c.Flip.Probability
	p.resample.run(dst, img, box, flip)
	if p.c.Color.On {
		p.c.Color.draw(&p.steps, p.rng)
		p.steps.run(dst)
	}
	if p.c.Blur.On && p.rng.Float64() < p.c.Blur.Probability {
		p.blur.run(dst, uniform(p.rng, p.c.Blur.MinSigma, p.c.Blur.MaxSigma))
	}
}

func uniform(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }
