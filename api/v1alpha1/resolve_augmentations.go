package v1alpha1

import (
	"fmt"
	"math"
	"strconv"
)

// resolve fills the paper's augmentations: appendix A, and for CIFAR-10 appendix B.9. What only its figures 4 and 5
// have is off.
func (a *AugmentationsSpec) resolve(size int32) error {
	strength, blur := Decimal("1"), Enabled
	if size <= cifarSize {
		strength, blur = "0.5", Disabled
	}
	fill(&a.Branches, BranchesBoth)
	fillPointer(&a.RandomResizedCrop, RandomResizedCropSpec{})
	crop := a.RandomResizedCrop
	fill(&crop.Mode, Enabled)
	fillPointer(&crop.MinScale, "0.08")
	fillPointer(&crop.MaxScale, "1")
	fillPointer(&crop.MinRatio, "0.75")
	fillPointer(&crop.MaxRatio, "1.3333")
	fill(&crop.Filter, Bicubic)
	fillPointer(&a.HorizontalFlip, HorizontalFlipSpec{})
	fill(&a.HorizontalFlip.Mode, Enabled)
	fillPointer(&a.HorizontalFlip.Probability, "0.5")
	fillPointer(&a.GaussianBlur, GaussianBlurSpec{})
	fill(&a.GaussianBlur.Mode, blur)
	fillPointer(&a.GaussianBlur.Probability, "0.5")
	fillPointer(&a.GaussianBlur.KernelSize, BlurKernel(size))
	fillPointer(&a.GaussianBlur.MinSigma, "0.1")
	fillPointer(&a.GaussianBlur.MaxSigma, "2")
	a.resolveStudied()
	fillPointer(&a.ColorDistortion, ColorDistortionSpec{})
	return a.ColorDistortion.resolve(strength)
}

// BlurKernel is the default kernel of the blur, for images of a height: a tenth of that, one more where it is even
// (google-research/simclr's gaussian_blur of height // 10); below 20 pixels 1, no blur. Unit: pixels.
func BlurKernel(height int32) int32 { return 2*(height/10/2) + 1 }

// resolveStudied fills the operations that the paper compares and does not use.
func (a *AugmentationsSpec) resolveStudied() {
	fillPointer(&a.Cutout, CutoutSpec{})
	fill(&a.Cutout.Mode, Disabled)
	fillPointer(&a.Cutout.Probability, "0.5")
	fillPointer(&a.Cutout.Size, "0.5")
	fillPointer(&a.Sobel, SobelSpec{})
	fill(&a.Sobel.Mode, Disabled)
	fillPointer(&a.Sobel.Probability, "0.5")
	fillPointer(&a.GaussianNoise, GaussianNoiseSpec{})
	fill(&a.GaussianNoise.Mode, Disabled)
	fillPointer(&a.GaussianNoise.Probability, "0.5")
	fillPointer(&a.GaussianNoise.Sigma, "0.1")
	fillPointer(&a.Rotation, RotationSpec{})
	fill(&a.Rotation.Mode, Disabled)
	fillPointer(&a.Rotation.Probability, "0.5")
}

// resolve fills the colour distortion, each component by the strength.
func (c *ColorDistortionSpec) resolve(strength Decimal) error {
	fill(&c.Mode, Enabled)
	fillPointer(&c.Strength, strength)
	s, err := c.Strength.Float()
	if err != nil {
		return fmt.Errorf("augmentations.colorDistortion.strength %w: set it between 0 and \"2.5\"", err)
	}
	fillPointer(&c.Brightness, decimal(0.8*s))
	fillPointer(&c.Contrast, decimal(0.8*s))
	fillPointer(&c.Saturation, decimal(0.8*s))
	fillPointer(&c.Hue, decimal(0.2*s))
	fill(&c.Order, OrderRandom)
	fillPointer(&c.JitterProbability, "0.8")
	fillPointer(&c.GrayscaleProbability, "0.2")
	return nil
}

// decimal of a number, to six digits after the point.
func decimal(v float64) Decimal {
	return Decimal(strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64))
}
