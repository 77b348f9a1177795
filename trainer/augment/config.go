// Package augment makes the views of an image that SimCLR contrasts: random resized crop, horizontal
// flip, colour distortion (jitter and grey), Gaussian blur, in this order (paper appendix A;
// google-research/simclr data_util.py). Pixels stay in [0,1]; nothing is normalised further.
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

// Config of a pipeline: what the API's augmentations say, in numbers.
type Config struct {
	Size           int // height and width of a view, in pixels
	Crop           Crop
	Flip           Flip
	Color          Color
	Blur           Blur
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

// Color is jitter by Strength s (brightness, contrast, saturation 0.8·s, hue 0.2·s) and grey.
type Color struct {
	On                                      bool
	Strength                                float64
	JitterProbability, GrayscaleProbability float64
}

// Blur is Gaussian, with a kernel of a tenth of the height, rounded up to odd, and zero padding.
type Blur struct {
	On                 bool
	Probability        float64
	MinSigma, MaxSigma float64 // pixels
}

// Default is the paper's pipeline: ImageNet is strength 1 with blur, CIFAR-10 0.5 without.
func Default(size int, strength float64, blur bool) Config {
	return Config{
		Size:           size,
		Crop:           Crop{On: true, MinScale: 0.08, MaxScale: 1, MinRatio: 3. / 4, MaxRatio: 4. / 3},
		Flip:           Flip{On: true, Probability: 0.5},
		Color:          Color{On: true, Strength: strength, JitterProbability: 0.8, GrayscaleProbability: 0.2},
		Blur:           Blur{On: blur, Probability: 0.5, MinSigma: 0.1, MaxSigma: 2},
		CenterFraction: 1,
	}
}

// FromSpec is the pipeline of a resolved spec.
func FromSpec(size int, a *v1alpha1.AugmentationsSpec) (Config, error) {
	if a == nil || a.RandomResizedCrop == nil || a.HorizontalFlip == nil || a.ColorDistortion == nil || a.GaussianBlur == nil {
		return Config{}, contract.UserErrorf("InvalidSpec", "spec.augmentations has parts that are not set; resolve the run first")
	}
	crop, flip, color, blur := a.RandomResizedCrop, a.HorizontalFlip, a.ColorDistortion, a.GaussianBlur
	c := Default(size, 1, blur.Mode == v1alpha1.Enabled)
	c.Crop.On = crop.Mode == v1alpha1.Enabled
	c.Flip.On = flip.Mode == v1alpha1.Enabled
	c.Color.On = color.Mode == v1alpha1.Enabled
	if crop.Filter == v1alpha1.Bilinear {
		c.Crop.Filter = Bilinear
	}
	for _, n := range []struct {
		field string
		from  *v1alpha1.Decimal
		to    *float64
	}{
		{"randomResizedCrop.minScale", crop.MinScale, &c.Crop.MinScale},
		{"randomResizedCrop.maxScale", crop.MaxScale, &c.Crop.MaxScale},
		{"randomResizedCrop.minRatio", crop.MinRatio, &c.Crop.MinRatio},
		{"randomResizedCrop.maxRatio", crop.MaxRatio, &c.Crop.MaxRatio},
		{"horizontalFlip.probability", flip.Probability, &c.Flip.Probability},
		{"colorDistortion.strength", color.Strength, &c.Color.Strength},
		{"colorDistortion.jitterProbability", color.JitterProbability, &c.Color.JitterProbability},
		{"colorDistortion.grayscaleProbability", color.GrayscaleProbability, &c.Color.GrayscaleProbability},
		{"gaussianBlur.probability", blur.Probability, &c.Blur.Probability},
		{"gaussianBlur.minSigma", blur.MinSigma, &c.Blur.MinSigma},
		{"gaussianBlur.maxSigma", blur.MaxSigma, &c.Blur.MaxSigma},
	} {
		if n.from == nil {
			continue // a resolved spec sets all that is on; 4/3 is there "1.3333"
		}
		v, err := n.from.Float()
		if err != nil {
			return Config{}, contract.UserErrorf("InvalidSpec", "spec.augmentations.%s: %w", n.field, err)
		}
		*n.to = v
	}
	return c, c.check()
}

// CropAndFlip is what finetuning and linear training by SGD see: crop and flip only (paper appendix B.5
// and B.6), as c has them.
func (c Config) CropAndFlip() Config {
	c.Color.On, c.Blur.On = false, false
	return c
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
	bad := func(field string, value any, want string) error {
		return contract.UserErrorf("InvalidSpec", "spec.augmentations.%s is %v; set it to %s", field, value, want)
	}
	share := func(v float64) bool { return v >= 0 && v <= 1 }
	switch {
	case c.Size < 1:
		return contract.UserErrorf("InvalidSpec", "spec.dataset.imageSize is %d; set it to at least 8", c.Size)
	case c.Crop.On && (c.Crop.MinScale <= 0 || c.Crop.MinScale > c.Crop.MaxScale || c.Crop.MaxScale > 1):
		return bad("randomResizedCrop", fmt.Sprintf("{minScale: %v, maxScale: %v}", c.Crop.MinScale, c.Crop.MaxScale), "0 < minScale ≤ maxScale ≤ 1")
	case c.Crop.On && (c.Crop.MinRatio <= 0 || c.Crop.MinRatio > c.Crop.MaxRatio):
		return bad("randomResizedCrop", fmt.Sprintf("{minRatio: %v, maxRatio: %v}", c.Crop.MinRatio, c.Crop.MaxRatio), "0 < minRatio ≤ maxRatio")
	case !c.Crop.On && (c.CenterFraction <= 0 || c.CenterFraction > 1):
		return fmt.Errorf("augment: CenterFraction %v is not in (0,1]", c.CenterFraction)
	case c.Flip.On && !share(c.Flip.Probability):
		return bad("horizontalFlip.probability", c.Flip.Probability, "0 to 1")
	case c.Color.On && !share(c.Color.JitterProbability):
		return bad("colorDistortion.jitterProbability", c.Color.JitterProbability, "0 to 1")
	case c.Color.On && !share(c.Color.GrayscaleProbability):
		return bad("colorDistortion.grayscaleProbability", c.Color.GrayscaleProbability, "0 to 1")
	case c.Color.On && (c.Color.Strength < 0 || c.Color.Strength > 2.5):
		return bad("colorDistortion.strength", c.Color.Strength, "0 to 2.5, where hue covers the whole circle")
	case c.Blur.On && !share(c.Blur.Probability):
		return bad("gaussianBlur.probability", c.Blur.Probability, "0 to 1")
	case c.Blur.On && (c.Blur.MinSigma <= 0 || c.Blur.MinSigma > c.Blur.MaxSigma):
		return bad("gaussianBlur", fmt.Sprintf("{minSigma: %v, maxSigma: %v}", c.Blur.MinSigma, c.Blur.MaxSigma), "0 < minSigma ≤ maxSigma")
	}
	return nil
}
