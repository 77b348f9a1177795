package augment

// drawn is what is drawn at random for a view, all that makes it another than the next.
type drawn struct {
	box      box
	flip     bool
	cutout   square // of side 0: none
	steps    steps
	sobel    bool
	noisy    bool
	noise    noiseKey
	sigma    float64 // of the blur, in pixels; 0: none
	quarters int     // turns; 0: none
}

// draw a view of an image of w × h pixels: the operations in the order of figure 5 of the paper, in which crop, flip, colour
// and blur are in the order of its appendix A.
func (p *Pipeline) draw(w, h int) (d drawn) {
	c := &p.c
	d.box = c.box(w, h, p.rng)
	d.flip = c.Flip.On && p.chance(c.Flip.Probability)
	if c.Cutout.On && p.chance(c.Cutout.Probability) {
		d.cutout = c.Cutout.draw(c.Size, p.rng)
	}
	if c.Color.On {
		c.Color.draw(&d.steps, p.rng)
	}
	d.sobel = c.Sobel.On && p.chance(c.Sobel.Probability)
	if d.noisy = c.Noise.On && p.chance(c.Noise.Probability); d.noisy {
		d.noise = drawKey(p.rng)
	}
	if c.Blur.On && p.chance(c.Blur.Probability) {
		d.sigma = uniform(p.rng, c.Blur.MinSigma, c.Blur.MaxSigma)
	}
	if c.Rotation.On && p.chance(c.Rotation.Probability) {
		d.quarters = 1 + p.rng.IntN(3)
	}
	return d
}
