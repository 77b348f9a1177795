// Package augment makes the views of an image that SimCLR contrasts: random resized crop, horizontal flip, colour
// distortion (jitter and grey), Gaussian blur, in this order (paper appendix A; google-research/simclr data_util.py), and
// the operations that the paper compares them with (figures 4 and 5). Pixels stay in [0,1]; nothing is normalised further.
package augment

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Filter resamples an image, antialiased as Pillow's resize.
type Filter int

// The filters.
const (
	Bicubic  Filter = iota // Keys' cubic with a = −1/2
	Bilinear               // triangle; torchvision's default
)

// Config of a pipeline: what the API's augmentations say, in numbers. The parts are in the order in which they act.
type Config struct {
	Size int // height and width of a view, in pixels
	// OneBranch: views are of one random crop of the image, made as Crop says where it is off, too. The first is
	// transformed by all that is on, the others are the crop itself (paper section 3.1).
	OneBranch bool

	Crop     Crop
	Flip     Flip
	Cutout   Cutout
	Color    Color
	Sobel    Sobel
	Noise    Noise
	Blur     Blur
	Rotation Rotation

	CenterFraction float64 // where Crop is off: the side of the central square taken, of the image's shorter side
}

// Crop is the random resized crop. Off: the central square of CenterFraction.
type Crop struct {
	On                 bool
	MinScale, MaxScale float64 // share of the image's area, uniform
	MinRatio, MaxRatio float64 // width over height, log-uniform
	Filter             Filter  // also of the resize without a crop
}

// Flip is left to right.
type Flip struct {
	On          bool
	Probability float64
}

// Cutout covers a square with grey.
type Cutout struct {
	On          bool
	Probability float64
	Size        float64 // of the square's side, as a share of the view's
}

// Color is jitter, four operations of at most these changes, and grey.
type Color struct {
	On                                      bool
	Brightness, Contrast, Saturation, Hue   float64
	FixedOrder                              bool // of the four; else another for each view
	JitterProbability, GrayscaleProbability float64
}

// Sobel replaces an image by the magnitude of its gradient.
type Sobel struct {
	On          bool
	Probability float64
}

// Noise is Gaussian and independent for each value.
type Noise struct {
	On                 bool
	Probability, Sigma float64
}

// Blur is Gaussian, with a kernel of Kernel × Kernel pixels, odd, and zero padding.
type Blur struct {
	On                 bool
	Probability        float64
	Kernel             int
	MinSigma, MaxSigma float64 // pixels
}

// Rotation is by 90, 180 or 270 degrees.
type Rotation struct {
	On          bool
	Probability float64
}

// Default is the paper's pipeline: ImageNet is strength 1 with blur, CIFAR-10 0.5 without.
func Default(size int, strength float64, blur bool) Config {
	return Config{
		Size: size,
		Crop: Crop{On: true, MinScale: 0.08, MaxScale: 1, MinRatio: 3. / 4, MaxRatio: 4. / 3},
		Flip: Flip{On: true, Probability: 0.5},
		Color: Color{
			On: true, Brightness: 0.8 * strength, Contrast: 0.8 * strength, Saturation: 0.8 * strength, Hue: 0.2 * strength,
			JitterProbability: 0.8, GrayscaleProbability: 0.2,
		},
		Blur:           Blur{On: blur, Probability: 0.5, Kernel: int(v1alpha1.BlurKernel(int32(size))), MinSigma: 0.1, MaxSigma: 2},
		CenterFraction: 1,
	}
}

// CropAndFlip is what finetuning and linear training by SGD see: crop and flip only (paper appendix B.5
// and B.6), as c has them.
func (c Config) CropAndFlip() Config {
	return Config{Size: c.Size, Crop: c.Crop, Flip: c.Flip, CenterFraction: c.CenterFraction}
}

// Evaluation is what features are computed of: the central 0.875 of the image, or at 32 pixels or less all
// of it (google-research/simclr's preprocess_for_eval).
func Evaluation(size int) Config {
	c := Config{Size: size, CenterFraction: 0.875}
	if size <= 32 {
		c.CenterFraction = 1
	}
	return c
}

// check that the numbers are possible.
func (c Config) check() error {
	if c.Size < 1 {
		return contract.UserErrorf("InvalidSpec", "spec.dataset.imageSize is %d; set it to at least 8", c.Size)
	}
	for _, r := range []struct {
		on        bool
		field     string
		value     float64
		low, high float64
	}{
		{c.Flip.On, "horizontalFlip.probability", c.Flip.Probability, 0, 1},
		{c.Cutout.On, "cutout.probability", c.Cutout.Probability, 0, 1},
		{c.Cutout.On, "cutout.size", c.Cutout.Size, 0, 1},
		{c.Color.On, "colorDistortion.jitterProbability", c.Color.JitterProbability, 0, 1},
		{c.Color.On, "colorDistortion.grayscaleProbability", c.Color.GrayscaleProbability, 0, 1},
		{c.Color.On, "colorDistortion.brightness", c.Color.Brightness, 0, 2},
		{c.Color.On, "colorDistortion.contrast", c.Color.Contrast, 0, 2},
		{c.Color.On, "colorDistortion.saturation", c.Color.Saturation, 0, 2},
		{c.Color.On, "colorDistortion.hue", c.Color.Hue, 0, 0.5},
		{c.Sobel.On, "sobel.probability", c.Sobel.Probability, 0, 1},
		{c.Noise.On, "gaussianNoise.probability", c.Noise.Probability, 0, 1},
		{c.Noise.On, "gaussianNoise.sigma", c.Noise.Sigma, 0, 1},
		{c.Blur.On, "gaussianBlur.probability", c.Blur.Probability, 0, 1},
		{c.Blur.On, "gaussianBlur.kernelSize", float64(c.Blur.Kernel), 1, 255},
		{c.Rotation.On, "rotation.probability", c.Rotation.Probability, 0, 1},
	} {
		if r.on && !(r.value >= r.low && r.value <= r.high) {
			return bad(r.field, r.value, fmt.Sprintf("%v to %v", r.low, r.high))
		}
	}
	return c.checkRanges()
}

// checkRanges of what is drawn between two numbers.
func (c Config) checkRanges() error {
	crop, blur := c.Crop, c.Blur
	cropped := crop.On || c.OneBranch
	switch {
	case cropped && (crop.MinScale <= 0 || crop.MinScale > crop.MaxScale || crop.MaxScale > 1):
		return bad("randomResizedCrop", fmt.Sprintf("{minScale: %v, maxScale: %v}", crop.MinScale, crop.MaxScale), "0 < minScale ≤ maxScale ≤ 1")
	case cropped && (crop.MinRatio <= 0 || crop.MinRatio > crop.MaxRatio):
		return bad("randomResizedCrop", fmt.Sprintf("{minRatio: %v, maxRatio: %v}", crop.MinRatio, crop.MaxRatio), "0 < minRatio ≤ maxRatio")
	case blur.On && (blur.MinSigma <= 0 || blur.MinSigma > blur.MaxSigma):
		return bad("gaussianBlur", fmt.Sprintf("{minSigma: %v, maxSigma: %v}", blur.MinSigma, blur.MaxSigma), "0 < minSigma ≤ maxSigma")
	case blur.On && blur.Kernel%2 == 0:
		return bad("gaussianBlur.kernelSize", blur.Kernel, "an odd number; the kernel has a centre")
	}
	return nil
}

func bad(field string, value any, want string) error {
	return contract.UserErrorf("InvalidSpec", "spec.augmentations.%s is %v; set it to %s", field, value, want)
}
