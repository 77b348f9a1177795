package augment

// #include "kernels.h"
import "C"

import (
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// Parameters of a view on an accelerator, the columns of a batch's (rows, Parameters): all that is drawn for it, each a
// float32. An axis of the source is a box's part of it: where it begins and how long it is, in pixels, and how many pixels are
// looked at; the others' weights are 0.
const (
	XOrigin = iota
	XExtent
	XCount
	YOrigin
	YExtent
	YCount
	Flipped // 0 or 1
	CutoutX // pixels
	CutoutY // pixels
	CutoutSide
	Steps                              // JitterSteps times an operation, Unchanged to Hue, and its factor, that of hue in sixths of a turn
	Greyed     = Steps + 2*JitterSteps // 0 or 1
	SobelOn    = Greyed + 1            // 0 or 1
	NoiseOn    = SobelOn + 1           // 0 or 1
	NoiseKey   = NoiseOn + 1           // two whole numbers
	BlurSigma  = NoiseKey + 2          // pixels; 0: none
	Quarters   = BlurSigma + 1         // turns, 0 to 3
	Parameters = Quarters + 1
)

// JitterSteps are the operations of the jitter, and of a view at most.
const JitterSteps = 4

// The operations of a step.
const (
	Unchanged = iota
	Brightness
	Contrast
	Saturation
	Hue
)

// Preparer prepares views that an accelerator makes, by the program of emit.Views: the pixels that each looks at, and what is
// drawn for it. It draws what a Pipeline draws.
type Preparer struct {
	*Pipeline
	edge  int
	large dataset.Image // a view's size of a crop that does not fit into a source
}

var _ dataset.Preparer = (*Preparer)(nil)

// Edge of the square that holds a view's pixels, in pixels: twice a view's. What fits into it is resized by the accelerator; of a
// larger crop the host makes a view's size, rounded to 8 bits. largest is the longest side of the images where that is
// known, else 0.
func (c Config) Edge(largest int) int { return plan.SourceEdge(c.Size, largest, c.OneBranch) }

// PreparerFactory checks the configuration once and gives dataset.LoaderConfig its NewTransform, of sources of that edge.
func PreparerFactory(c Config, seed uint64, edge int) (func() dataset.Transform, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return func() dataset.Transform {
		p := &Preparer{Pipeline: newPipeline(c, seed), edge: edge, large: square8(c.Size)}
		p.before = make([]float32, len(p.large.Pix))
		return p
	}, nil
}

// Prepare writes the pixels of a view to source (edge,edge,3), in its corner, and what is drawn for it to parameters.
func (p *Preparer) Prepare(source []uint8, parameters []float32, img dataset.Image, epoch, index, view int) {
	if p.c.OneBranch {
		img = p.crop(img, epoch, index)
		if view > 0 {
			clear(parameters)
			p.copy(source, parameters, img, box{0, 0, img.W, img.H})
			return
		}
	}
	p.seedView(epoch, index, view)
	d := p.draw(img.W, img.H)
	d.write(parameters)
	p.copy(source, parameters, img, d.box)
}

// copy the pixels of a box, or the host's resized crop of it, and say where the box is.
func (p *Preparer) copy(source []uint8, parameters []float32, img dataset.Image, from box) {
	part := img.Covers()
	x, y := axis(from.x, from.w, part.X, part.W, part.Shrink), axis(from.y, from.h, part.Y, part.H, part.Shrink)
	if w, h := int(x.last-x.first), int(y.last-y.first); w > p.edge || h > p.edge {
		p.resample.run(p.before, img, from, false)
		round8(p.large.Pix, p.before)
		img = p.large
		part = img.Covers()
		x, y = axis(0, img.W, 0, img.W, 1), axis(0, img.H, 0, img.H, 1)
	}
	parameters[XOrigin], parameters[XExtent], parameters[XCount] = float32(x.origin-C.double(x.first)), float32(x.extent), float32(x.last-x.first)
	parameters[YOrigin], parameters[YExtent], parameters[YCount] = float32(y.origin-C.double(y.first)), float32(y.extent), float32(y.last-y.first)
	width := 3 * int(x.last-x.first)
	for row := range int(y.last - y.first) {
		at := 3 * ((int(y.first)+row)*part.W + int(x.first))
		copy(source[3*row*p.edge:], img.Pix[at:at+width])
	}
}

// write what was drawn, but for where the box is.
func (d *drawn) write(parameters []float32) {
	clear(parameters)
	set := func(column int, on bool) {
		if on {
			parameters[column] = 1
		}
	}
	set(Flipped, d.flip)
	set(SobelOn, d.sobel)
	set(NoiseOn, d.noisy)
	parameters[CutoutX], parameters[CutoutY], parameters[CutoutSide] = float32(d.cutout.x), float32(d.cutout.y), float32(d.cutout.side)
	for i, s := range d.steps.list[:d.steps.count] {
		if s.operation == C.GREY { // the last
			parameters[Greyed] = 1
			continue
		}
		parameters[Steps+2*i], parameters[Steps+2*i+1] = float32(Brightness+s.operation-C.BRIGHTNESS), float32(s.factor)
	}
	parameters[NoiseKey], parameters[NoiseKey+1] = float32(d.noise[0]), float32(d.noise[1])
	parameters[BlurSigma], parameters[Quarters] = float32(d.sigma), float32(d.quarters)
}
