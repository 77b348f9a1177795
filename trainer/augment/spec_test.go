package augment

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// resolve the augmentations of a run of 32 pixels.
func resolve(t *testing.T, a v1alpha1.AugmentationsSpec) *v1alpha1.AugmentationsSpec {
	t.Helper()
	run := &v1alpha1.SimCLRRun{}
	run.Spec.Dataset.Name, run.Spec.Augmentations = "cifar-10", &a
	resolved, err := v1alpha1.Resolve(run)
	if err != nil {
		t.Fatal(err)
	}
	return resolved.Spec.Augmentations
}

func TestFromSpec(t *testing.T) {
	const on = v1alpha1.Enabled
	cifar := func(change func(c *Config)) Config {
		c := Default(32, 0.5, false)
		c.Crop.MaxRatio = 1.3333 // as decimals have it
		c.Cutout, c.Noise = Cutout{Probability: 0.5, Size: 0.5}, Noise{Probability: 0.5, Sigma: 0.1}
		c.Sobel.Probability, c.Rotation.Probability = 0.5, 0.5
		change(&c)
		return c
	}
	for name, tc := range map[string]struct {
		spec v1alpha1.AugmentationsSpec
		want Config
	}{
		"the paper's": {v1alpha1.AugmentationsSpec{}, cifar(func(*Config) {})},
		"crop and flip": {
			v1alpha1.AugmentationsSpec{
				RandomResizedCrop: &v1alpha1.RandomResizedCropSpec{MinScale: new(v1alpha1.Decimal("0.2")), Filter: v1alpha1.Bilinear},
				HorizontalFlip:    &v1alpha1.HorizontalFlipSpec{Mode: v1alpha1.Disabled},
			},
			cifar(func(c *Config) { c.Crop.MinScale, c.Crop.Filter, c.Flip.On = 0.2, Bilinear, false }),
		},
		"strength": {
			v1alpha1.AugmentationsSpec{ColorDistortion: &v1alpha1.ColorDistortionSpec{Strength: new(v1alpha1.Decimal("1.25")), Hue: new(v1alpha1.Decimal("0"))}},
			cifar(func(c *Config) { c.Color.Brightness, c.Color.Contrast, c.Color.Saturation, c.Color.Hue = 1, 1, 1, 0 }),
		},
		"components": {
			v1alpha1.AugmentationsSpec{ColorDistortion: &v1alpha1.ColorDistortionSpec{
				Brightness: new(v1alpha1.Decimal("0.1")), Contrast: new(v1alpha1.Decimal("0.2")), Saturation: new(v1alpha1.Decimal("0.3")), Hue: new(v1alpha1.Decimal("0.4")), Order: v1alpha1.OrderFixed,
			}},
			cifar(func(c *Config) {
				c.Color.Brightness, c.Color.Contrast, c.Color.Saturation, c.Color.Hue, c.Color.FixedOrder = 0.1, 0.2, 0.3, 0.4, true
			}),
		},
		"blur": {
			v1alpha1.AugmentationsSpec{GaussianBlur: &v1alpha1.GaussianBlurSpec{Mode: on, MaxSigma: new(v1alpha1.Decimal("1.5")), KernelSize: new(int32(5))}},
			cifar(func(c *Config) { c.Blur.On, c.Blur.MaxSigma, c.Blur.Kernel = true, 1.5, 5 }),
		},
		"one branch": {
			v1alpha1.AugmentationsSpec{
				Branches:      v1alpha1.BranchesOne,
				Cutout:        &v1alpha1.CutoutSpec{Mode: on, Size: new(v1alpha1.Decimal("0.25"))},
				Sobel:         &v1alpha1.SobelSpec{Mode: on},
				GaussianNoise: &v1alpha1.GaussianNoiseSpec{Mode: on, Probability: new(v1alpha1.Decimal("1"))},
				Rotation:      &v1alpha1.RotationSpec{Mode: on},
			},
			cifar(func(c *Config) {
				c.OneBranch, c.Cutout.On, c.Cutout.Size, c.Sobel.On, c.Noise.On, c.Noise.Probability, c.Rotation.On = true, true, 0.25, true, true, 1, true
			}),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromSpec(32, resolve(t, tc.spec))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFromSpecErrors(t *testing.T) {
	for field, spoil := range map[string]func(a *v1alpha1.AugmentationsSpec){
		"randomResizedCrop":          func(a *v1alpha1.AugmentationsSpec) { a.RandomResizedCrop.MinScale = new(v1alpha1.Decimal("0")) },
		"horizontalFlip":             func(a *v1alpha1.AugmentationsSpec) { a.HorizontalFlip.Probability = new(v1alpha1.Decimal("1.5")) },
		"colorDistortion.hue":        func(a *v1alpha1.AugmentationsSpec) { a.ColorDistortion.Hue = new(v1alpha1.Decimal("0.6")) },
		"colorDistortion.brightness": func(a *v1alpha1.AugmentationsSpec) { a.ColorDistortion.Brightness = new(v1alpha1.Decimal("3")) },
		"gaussianBlur":               func(a *v1alpha1.AugmentationsSpec) { a.GaussianBlur.MinSigma = new(v1alpha1.Decimal("3")) },
		"gaussianBlur.maxSigma":      func(a *v1alpha1.AugmentationsSpec) { a.GaussianBlur.MaxSigma = new(v1alpha1.Decimal("x")) },
		"gaussianBlur.kernelSize":    func(a *v1alpha1.AugmentationsSpec) { a.GaussianBlur.KernelSize = new(int32(4)) },
		"cutout.size":                func(a *v1alpha1.AugmentationsSpec) { a.Cutout.Size = new(v1alpha1.Decimal("2")) },
		"gaussianNoise.sigma":        func(a *v1alpha1.AugmentationsSpec) { a.GaussianNoise.Sigma = new(v1alpha1.Decimal("7")) },
		"rotation.probability":       func(a *v1alpha1.AugmentationsSpec) { a.Rotation.Probability = new(v1alpha1.Decimal("7")) },
		"sobel.probability":          func(a *v1alpha1.AugmentationsSpec) { a.Sobel.Probability = new(v1alpha1.Decimal("7")) },
	} {
		t.Run(field, func(t *testing.T) {
			a := resolve(t, v1alpha1.AugmentationsSpec{
				GaussianBlur: &v1alpha1.GaussianBlurSpec{Mode: v1alpha1.Enabled}, Cutout: &v1alpha1.CutoutSpec{Mode: v1alpha1.Enabled},
				GaussianNoise: &v1alpha1.GaussianNoiseSpec{Mode: v1alpha1.Enabled}, Rotation: &v1alpha1.RotationSpec{Mode: v1alpha1.Enabled},
				Sobel: &v1alpha1.SobelSpec{Mode: v1alpha1.Enabled},
			})
			spoil(a)
			_, err := FromSpec(32, a)
			var e *contract.Error
			if !errors.As(err, &e) || e.Code != contract.ExitUserError || !strings.Contains(err.Error(), "spec.augmentations."+field) {
				t.Errorf("got %v, want a user error that names %s", err, field)
			}
		})
	}
	for name, a := range map[string]*v1alpha1.AugmentationsSpec{"nothing": nil, "no part": {}} {
		if _, err := FromSpec(32, a); contract.ExitCode(err) != contract.ExitUserError {
			t.Errorf("%s that is resolved: %v", name, err)
		}
	}
}
