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
	p.View(dst, img, p.rng)
}

// View writes a view (3,Size,Size) in [0,1] to dst.
func (p *Pipeline) View(dst []float32, img dataset.Image, rng *rand.Rand) {
	box := p.c.box(img.W, img.H, rng)
	flip := p.c.Flip.On && rng.Float64() < p.c.Flip.Probability
	p.resample.run(dst, img, box, flip)
	plane := p.c.Size * p.c.Size
	r, g, b := dst[:plane], dst[plane:2*plane], dst[2*plane:3*plane]
	if p.c.Color.On {
		p.c.Color.distort(r, g, b, rng)
	}
	if p.c.Blur.On && rng.Float64() < p.c.Blur.Probability {
		sigma := uniform(rng, p.c.Blur.MinSigma, p.c.Blur.MaxSigma)
		p.blur.setSigma(sigma)
		p.blur.run(r)
		p.blur.run(g)
		p.blur.run(b)
	}
}

func uniform(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }
