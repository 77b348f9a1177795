package augment

import (
	"math/rand/v2"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// forViews and forCrops keep the random numbers of views, and of the crops that the views of an image share, apart
// from others of the same seed.
const (
	forViews = 0x5649455753
	forCrops = 0x43524f5053
)

// Pipeline makes views. It holds scratch memory: one goroutine at a time.
type Pipeline struct {
	c        Config
	seed     uint64
	pcg      *rand.PCG
	rng      *rand.Rand
	resample resampler
	blur     blurrer
	before   []float32     // (3,Size,Size): a view before an operation that cannot be done in place
	shared   dataset.Image // the crop that the views of an image share
}

var (
	_ dataset.Transform = (*Pipeline)(nil)
	_ dataset.Planner   = (*Pipeline)(nil)
)

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
	if c.Blur.On {
		p.blur.init(c.Size, c.Blur.Kernel)
	}
	values := 3 * c.Size * c.Size
	if c.Sobel.On || c.Rotation.On || c.OneBranch {
		p.before = make([]float32, values)
	}
	if c.OneBranch {
		p.shared = square8(c.Size)
	}
	return p
}

// Apply makes a view that depends on seed, epoch, index of the image, and view alone.
func (p *Pipeline) Apply(dst []float32, img dataset.Image, epoch, index, view int) {
	if p.c.OneBranch {
		img = p.crop(img, epoch, index)
		if view > 0 {
			p.resample.run(dst, img, box{0, 0, img.W, img.H}, false)
			return
		}
	}
	p.seedView(epoch, index, view)
	p.view(dst, img)
}

// Needs is the smallest rectangle with the crops of the views, and how much it may be shrunk for them.
func (p *Pipeline) Needs(w, h, epoch, index int, views ...int) dataset.Part {
	if p.c.OneBranch {
		p.seedCrop(epoch, index)
		b := p.c.Crop.box(w, h, p.rng)
		return dataset.Part{X: b.x, Y: b.y, W: b.w, H: b.h, Shrink: b.shrink(p.c.Size)}
	}
	x, y, right, bottom, shrink := w, h, 0, 0, mostShrunk
	for _, v := range views {
		p.seedView(epoch, index, v)
		b := p.c.box(w, h, p.rng)
		x, y, right, bottom = min(x, b.x), min(y, b.y), max(right, b.x+b.w), max(bottom, b.y+b.h)
		shrink = min(shrink, b.shrink(p.c.Size))
	}
	return dataset.Part{X: x, Y: y, W: right - x, H: bottom - y, Shrink: shrink}
}

func (p *Pipeline) seedView(epoch, index, view int) {
	p.pcg.Seed(dataset.Hash(forViews, p.seed, uint64(epoch), uint64(index), uint64(view)))
}

func (p *Pipeline) seedCrop(epoch, index int) {
	p.pcg.Seed(dataset.Hash(forCrops, p.seed, uint64(epoch), uint64(index)))
}

// crop of an image that its views share, rounded to the 8 bits of an image.
func (p *Pipeline) crop(img dataset.Image, epoch, index int) dataset.Image {
	p.seedCrop(epoch, index)
	p.resample.run(p.before, img, p.c.Crop.box(img.W, img.H, p.rng), false)
	round8(p.shared.Pix, p.before)
	return p.shared
}

// square8 is an image of size × size pixels.
func square8(size int) dataset.Image {
	return dataset.Image{W: size, H: size, Pix: make([]uint8, 3*size*size)}
}

// round8 rounds planes in [0,1] to the 8 bits of an image.
func round8(pix []uint8, planes []float32) {
	n := len(pix) / 3
	for i := range n {
		for c := range 3 {
			pix[3*i+c] = uint8(255*planes[c*n+i] + 0.5)
		}
	}
}

// view writes a view (3,Size,Size) in [0,1] to dst.
func (p *Pipeline) view(dst []float32, img dataset.Image) {
	d := p.draw(img.W, img.H)
	p.resample.run(dst, img, d.box, d.flip)
	p.change(dst, &d)
}

// change does to a view what was drawn for it.
func (p *Pipeline) change(dst []float32, d *drawn) {
	size := p.c.Size
	if d.cutout.side > 0 {
		cutout(dst, size, d.cutout.side, d.cutout.x, d.cutout.y)
	}
	d.steps.run(dst)
	if d.sobel {
		sobel(dst, p.before, size)
	}
	if d.noisy {
		p.c.Noise.add(dst, d.noise)
	}
	if d.sigma > 0 {
		p.blur.run(dst, d.sigma)
	}
	if d.quarters > 0 {
		rotate(dst, p.before, size, d.quarters)
	}
}

func (p *Pipeline) chance(probability float64) bool { return p.rng.Float64() < probability }

func uniform(rng *rand.Rand, low, high float64) float64 { return low + (high-low)*rng.Float64() }
