package augment

import (
	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// FromSpec is the pipeline of a resolved spec.
func FromSpec(size int, a *v1alpha1.AugmentationsSpec) (Config, error) {
	unresolved := contract.UserErrorf("InvalidSpec", "spec.augmentations has parts that are not set; resolve the run first")
	if a == nil || a.RandomResizedCrop == nil || a.HorizontalFlip == nil || a.Cutout == nil || a.ColorDistortion == nil ||
		a.Sobel == nil || a.GaussianNoise == nil || a.GaussianBlur == nil || a.GaussianBlur.KernelSize == nil || a.Rotation == nil {
		return Config{}, unresolved
	}
	c := modes(size, a)
	for _, n := range numbers(&c, a) {
		if n.from == nil {
			return Config{}, unresolved
		}
		v, err := n.from.Float()
		if err != nil {
			return Config{}, contract.UserErrorf("InvalidSpec", "spec.augmentations.%s: %w", n.field, err)
		}
		*n.to = v
	}
	return c, c.check()
}

// modes are what a spec says in words and whole numbers.
func modes(size int, a *v1alpha1.AugmentationsSpec) Config {
	c := Config{Size: size, OneBranch: a.Branches == v1alpha1.BranchesOne, CenterFraction: 1}
	c.Crop.On = a.RandomResizedCrop.Mode == v1alpha1.Enabled
	if a.RandomResizedCrop.Filter == v1alpha1.Bilinear {
		c.Crop.Filter = Bilinear
	}
	c.Flip.On = a.HorizontalFlip.Mode == v1alpha1.Enabled
	c.Cutout.On = a.Cutout.Mode == v1alpha1.Enabled
	c.Color.On = a.ColorDistortion.Mode == v1alpha1.Enabled
	c.Color.FixedOrder = a.ColorDistortion.Order == v1alpha1.OrderFixed
	c.Sobel.On = a.Sobel.Mode == v1alpha1.Enabled
	c.Noise.On = a.GaussianNoise.Mode == v1alpha1.Enabled
	c.Blur.On = a.GaussianBlur.Mode == v1alpha1.Enabled
	c.Blur.Kernel = int(*a.GaussianBlur.KernelSize)
	c.Rotation.On = a.Rotation.Mode == v1alpha1.Enabled
	return c
}

// number of a spec, and where it belongs.
type number struct {
	field string
	from  *v1alpha1.Decimal
	to    *float64
}

func numbers(c *Config, a *v1alpha1.AugmentationsSpec) []number {
	crop, color, blur := a.RandomResizedCrop, a.ColorDistortion, a.GaussianBlur
	return []number{
		{"randomResizedCrop.minScale", crop.MinScale, &c.Crop.MinScale},
		{"randomResizedCrop.maxScale", crop.MaxScale, &c.Crop.MaxScale},
		{"randomResizedCrop.minRatio", crop.MinRatio, &c.Crop.MinRatio},
		{"randomResizedCrop.maxRatio", crop.MaxRatio, &c.Crop.MaxRatio},
		{"horizontalFlip.probability", a.HorizontalFlip.Probability, &c.Flip.Probability},
		{"cutout.probability", a.Cutout.Probability, &c.Cutout.Probability},
		{"cutout.size", a.Cutout.Size, &c.Cutout.Size},
		{"colorDistortion.brightness", color.Brightness, &c.Color.Brightness},
		{"colorDistortion.contrast", color.Contrast, &c.Color.Contrast},
		{"colorDistortion.saturation", color.Saturation, &c.Color.Saturation},
		{"colorDistortion.hue", color.Hue, &c.Color.Hue},
		{"colorDistortion.jitterProbability", color.JitterProbability, &c.Color.JitterProbability},
		{"colorDistortion.grayscaleProbability", color.GrayscaleProbability, &c.Color.GrayscaleProbability},
		{"sobel.probability", a.Sobel.Probability, &c.Sobel.Probability},
		{"gaussianNoise.probability", a.GaussianNoise.Probability, &c.Noise.Probability},
		{"gaussianNoise.sigma", a.GaussianNoise.Sigma, &c.Noise.Sigma},
		{"gaussianBlur.probability", blur.Probability, &c.Blur.Probability},
		{"gaussianBlur.minSigma", blur.MinSigma, &c.Blur.MinSigma},
		{"gaussianBlur.maxSigma", blur.MaxSigma, &c.Blur.MaxSigma},
		{"rotation.probability", a.Rotation.Probability, &c.Rotation.Probability},
	}
}
