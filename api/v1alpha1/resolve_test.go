package v1alpha1

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// protocol is what resolution decides by the size of the images.
type protocol struct {
	ImageSize, Warmup, LinearEpochs                               int32
	Temperature, Rate, Decay, Strength, LinearRate, LinearDecay   Decimal
	Scaling                                                       string
	Crop, Flip, Color, Blur, KNN, Linear                          Mode
	MinScale, MaxScale, MinRatio, MaxRatio, FlipProbability, Grey Decimal
	Jitter, BlurProbability, MinSigma, MaxSigma                   Decimal
	Filter                                                        ResizeFilter
	Brightness, Contrast, Saturation, Hue                         Decimal
	Order                                                         JitterOrder
	Kernel                                                        int32
	Studied                                                       [4]Mode // cutout, Sobel, noise, rotation
	Branches                                                      Branches
	Stem                                                          string
}

func protocolOf(s *SimCLRRunSpec) protocol {
	a, p, l := s.Augmentations, s.Pretraining, s.LinearEvaluation
	return protocol{
		*s.Dataset.ImageSize, *p.WarmupEpochs, *l.Epochs,
		*p.Temperature, *p.LearningRate, *p.WeightDecay, *a.ColorDistortion.Strength, *l.LearningRate, *l.WeightDecay,
		p.LearningRateScaling,
		a.RandomResizedCrop.Mode, a.HorizontalFlip.Mode, a.ColorDistortion.Mode, a.GaussianBlur.Mode, s.KNN.Mode, l.Mode,
		*a.RandomResizedCrop.MinScale, *a.RandomResizedCrop.MaxScale, *a.RandomResizedCrop.MinRatio, *a.RandomResizedCrop.MaxRatio,
		*a.HorizontalFlip.Probability, *a.ColorDistortion.GrayscaleProbability,
		*a.ColorDistortion.JitterProbability, *a.GaussianBlur.Probability, *a.GaussianBlur.MinSigma, *a.GaussianBlur.MaxSigma,
		a.RandomResizedCrop.Filter,
		*a.ColorDistortion.Brightness, *a.ColorDistortion.Contrast, *a.ColorDistortion.Saturation, *a.ColorDistortion.Hue,
		a.ColorDistortion.Order, *a.GaussianBlur.KernelSize,
		[4]Mode{a.Cutout.Mode, a.Sobel.Mode, a.GaussianNoise.Mode, a.Rotation.Mode}, a.Branches, s.Encoder.Stem,
	}
}

// cifar is google-research/simclr's CIFAR-10 protocol at 100 epochs.
func cifar() protocol {
	return protocol{
		ImageSize: 32, Warmup: 10, LinearEpochs: 100,
		Temperature: "0.5", Rate: "1", Decay: "1e-4", Strength: "0.5", LinearRate: "0.1", LinearDecay: "0", Scaling: "None",
		Crop: Enabled, Flip: Enabled, Color: Enabled, Blur: Disabled, KNN: Enabled, Linear: Enabled,
		MinScale: "0.08", MaxScale: "1", MinRatio: "0.75", MaxRatio: "1.3333", FlipProbability: "0.5", Grey: "0.2",
		Jitter: "0.8", BlurProbability: "0.5", MinSigma: "0.1", MaxSigma: "2", Filter: Bicubic,
		Brightness: "0.4", Contrast: "0.4", Saturation: "0.4", Hue: "0.1", Order: OrderRandom, Kernel: 3,
		Studied: [4]Mode{Disabled, Disabled, Disabled, Disabled}, Branches: BranchesBoth, Stem: "CIFAR",
	}
}

// imageNet is the paper's ImageNet protocol at 100 epochs.
func imageNet(size int32) protocol {
	p := cifar()
	p.ImageSize, p.LinearEpochs = size, 90
	p.Temperature, p.Rate, p.Decay, p.Strength, p.Scaling, p.Blur, p.Stem = "0.1", "0.3", "1e-6", "1", "Linear", Enabled, "ImageNet"
	p.Brightness, p.Contrast, p.Saturation, p.Hue, p.Kernel = "0.8", "0.8", "0.8", "0.2", map[int32]int32{33: 3, 224: 23}[size]
	return p
}

func with(p protocol, change func(*protocol)) protocol {
	change(&p)
	return p
}

func TestResolveProtocol(t *testing.T) {
	unlabelled := func(p *protocol) { p.KNN, p.Linear = Disabled, Disabled }
	images := DatasetSpec{URI: "pvc://c/d", Format: FormatImages}
	folder := DatasetSpec{URI: "pvc://c/d", Format: FormatImageFolder}
	for name, tc := range map[string]struct {
		spec SimCLRRunSpec
		want protocol
	}{
		"cifar-10":      {SimCLRRunSpec{Dataset: DatasetSpec{Name: "cifar-10"}}, cifar()},
		"fashion-mnist": {SimCLRRunSpec{Dataset: DatasetSpec{Name: "fashion-mnist"}}, with(cifar(), func(p *protocol) { p.ImageSize = 28 })},
		"IDX":           {SimCLRRunSpec{Dataset: DatasetSpec{URI: "pvc://c/d", Format: FormatIDX}}, with(cifar(), func(p *protocol) { p.ImageSize = 28 })},
		"folder":        {SimCLRRunSpec{Dataset: folder}, cifar()},
		"33 pixels": {SimCLRRunSpec{Dataset: DatasetSpec{URI: "pvc://c/d", Format: FormatImageFolder, ImageSize: new(int32(33))}},
			imageNet(33)},
		"ImageNet": {SimCLRRunSpec{Dataset: DatasetSpec{URI: "pvc://c/d", Format: FormatImageFolder, ImageSize: new(int32(224))}},
			imageNet(224)},
		"images without labels": {SimCLRRunSpec{Dataset: images}, with(cifar(), unlabelled)},
		"labels unused": {SimCLRRunSpec{Dataset: DatasetSpec{Name: "cifar-10", Labels: LabelsNone}},
			with(cifar(), unlabelled)},
		"labels of evaluation.dataset": {SimCLRRunSpec{Dataset: images, Evaluation: &EvaluationSpec{Dataset: folder}}, cifar()},
		"10 epochs": {SimCLRRunSpec{Dataset: folder, Pretraining: PretrainingSpec{Epochs: new(int32(10))}},
			with(cifar(), func(p *protocol) { p.Warmup = 1 })},
		"distortion by parts": {SimCLRRunSpec{Dataset: folder, Augmentations: &AugmentationsSpec{
			Branches:        BranchesOne,
			ColorDistortion: &ColorDistortionSpec{Strength: new(Decimal("0.3")), Hue: new(Decimal("0"))},
			Rotation:        &RotationSpec{Mode: Enabled},
			GaussianBlur:    &GaussianBlurSpec{KernelSize: new(int32(7))},
		}}, with(cifar(), func(p *protocol) {
			p.Strength, p.Brightness, p.Contrast, p.Saturation, p.Hue, p.Kernel = "0.3", "0.24", "0.24", "0.24", "0", 7
			p.Studied[3], p.Branches = Enabled, BranchesOne
		})},
		"9 epochs": {SimCLRRunSpec{Dataset: folder, Pretraining: PretrainingSpec{Epochs: new(int32(9))}},
			with(cifar(), func(p *protocol) { p.Warmup = 0 })},
		"1000 epochs": {SimCLRRunSpec{Dataset: folder, Pretraining: PretrainingSpec{Epochs: new(int32(1000))}}, cifar()},
		"what is set stays": {SimCLRRunSpec{
			Dataset: folder, KNN: KNNSpec{Mode: Disabled},
			Augmentations: &AugmentationsSpec{GaussianBlur: &GaussianBlurSpec{Mode: Enabled}, HorizontalFlip: &HorizontalFlipSpec{Mode: Disabled}},
			Pretraining:   PretrainingSpec{Temperature: new(Decimal("0.2")), WarmupEpochs: new(int32(3))},
			Encoder:       EncoderSpec{Stem: StemImageNet},
		}, with(cifar(), func(p *protocol) {
			p.KNN, p.Blur, p.Flip, p.Temperature, p.Warmup, p.Stem = Disabled, Enabled, Disabled, "0.2", 3, "ImageNet"
		})},
	} {
		t.Run(name, func(t *testing.T) {
			run := &SimCLRRun{Spec: tc.spec}
			before := run.DeepCopy()
			got, err := Resolve(run)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, protocolOf(&got.Spec)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(before, run); d != "" {
				t.Errorf("Resolve changed its argument: %s", d)
			}
			again, err := Resolve(got)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(got, again); d != "" {
				t.Errorf("resolving again: %s", d)
			}
		})
	}
}

func TestResolveBatchNormStatistics(t *testing.T) {
	for name, tc := range map[string]struct {
		spec PretrainingSpec
		want BatchNormStatistics
	}{
		"at once":           {PretrainingSpec{}, BatchNormGlobal},
		"micro-batches":     {PretrainingSpec{MicroBatchSize: new(int32(64))}, BatchNormMicroBatch},
		"what is set stays": {PretrainingSpec{MicroBatchSize: new(int32(64)), BatchNormStatistics: BatchNormGlobal}, BatchNormGlobal},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(&SimCLRRun{Spec: SimCLRRunSpec{Dataset: DatasetSpec{Name: "cifar-10"}, Pretraining: tc.spec}})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got.Spec.Pretraining.BatchNormStatistics); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestResolveStages(t *testing.T) {
	type finetuning struct {
		From        FinetuningFrom
		Epochs      int32
		Rate, Decay Decimal
	}
	for name, tc := range map[string]struct {
		fraction Decimal
		want     finetuning
	}{
		"1% of the labels":  {"0.01", finetuning{FromPretrained, 60, "0.05", "0"}},
		"10% of the labels": {"0.1", finetuning{FromPretrained, 30, "0.05", "0"}},
		"all labels":        {"1", finetuning{FromPretrained, 30, "0.05", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(&SimCLRRun{Spec: SimCLRRunSpec{Finetuning: []FinetuningSpec{{Name: "few", LabelFraction: tc.fraction}}}})
			if err != nil {
				t.Fatal(err)
			}
			f := got.Spec.Finetuning[0]
			if d := cmp.Diff(tc.want, finetuning{f.From, *f.Epochs, *f.LearningRate, *f.WeightDecay}); d != "" {
				t.Error(d)
			}
		})
	}
	got, err := Resolve(&SimCLRRun{Spec: SimCLRRunSpec{LinearEvaluation: LinearEvaluationSpec{Method: LinearLBFGS}}})
	if err != nil {
		t.Fatal(err)
	}
	want := LinearEvaluationSpec{Mode: Enabled, Method: LinearLBFGS, Features: FeaturesEncoder, WeightDecay: new(Decimal("1e-4")), MaxIterations: new(int32(300))}
	if d := cmp.Diff(want, got.Spec.LinearEvaluation); d != "" {
		t.Error(d)
	}
}

func TestResolveProjectionHead(t *testing.T) {
	for name, tc := range map[string]struct{ spec, want ProjectionHeadSpec }{
		"the paper's":    {ProjectionHeadSpec{}, ProjectionHeadSpec{Type: HeadNonLinear, Layers: 2, Dimension: 128, OutputNormalization: "ScaleOnly"}},
		"SimCLRv2's":     {ProjectionHeadSpec{Layers: 3}, ProjectionHeadSpec{Type: HeadNonLinear, Layers: 3, Dimension: 128, OutputNormalization: "ScaleOnly"}},
		"linear":         {ProjectionHeadSpec{Type: HeadLinear, Dimension: 64}, ProjectionHeadSpec{Type: HeadLinear, Dimension: 64, OutputNormalization: "ScaleOnly"}},
		"none":           {ProjectionHeadSpec{Type: HeadNone}, ProjectionHeadSpec{Type: HeadNone}},
		"with its shift": {ProjectionHeadSpec{OutputNormalization: "ScaleAndShift"}, ProjectionHeadSpec{Type: HeadNonLinear, Layers: 2, Dimension: 128, OutputNormalization: "ScaleAndShift"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(&SimCLRRun{Spec: SimCLRRunSpec{ProjectionHead: tc.spec}})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got.Spec.ProjectionHead); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestResolvePlatform(t *testing.T) {
	for name, tc := range map[string]struct {
		spec        SimCLRRunSpec
		wantDevices *int32
		wantWorkers *int32
		wantClaim   string
		wantViews   AugmentationsPlace
	}{
		"CPU":            {SimCLRRunSpec{}, nil, new(int32(1)), "10Gi Retain", AugmentationsHost},
		"GPU":            {SimCLRRunSpec{Accelerator: AcceleratorSpec{Type: NvidiaGPU}}, new(int32(1)), new(int32(1)), "10Gi Retain", AugmentationsAccelerator},
		"GPU, by choice": {SimCLRRunSpec{Accelerator: AcceleratorSpec{Type: NvidiaGPU, Augmentations: AugmentationsHost}}, new(int32(1)), new(int32(1)), "10Gi Retain", AugmentationsHost},
		"TPU":            {SimCLRRunSpec{Accelerator: AcceleratorSpec{Type: TPU, Generation: "v5p", Topology: "2x2x2"}}, nil, nil, "10Gi Retain", AugmentationsHost},
		"existing claim": {SimCLRRunSpec{Workers: new(int32(2)), Output: OutputSpec{ExistingClaim: "mine"}}, nil, new(int32(2)), "", AugmentationsHost},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(&SimCLRRun{Spec: tc.spec})
			if err != nil {
				t.Fatal(err)
			}
			claim := ""
			if c := got.Spec.Output.Claim; c != nil {
				claim = c.Size.String() + " " + string(c.Retention)
			}
			if d := cmp.Diff(tc.wantDevices, got.Spec.Accelerator.DevicesPerWorker); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tc.wantWorkers, got.Spec.Workers); d != "" {
				t.Error(d)
			}
			if got := got.Spec.Accelerator.Augmentations; got != tc.wantViews {
				t.Errorf("views are made by %s, want %s", got, tc.wantViews)
			}
			if claim != tc.wantClaim {
				t.Errorf("claim %q, want %q", claim, tc.wantClaim)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		spec SimCLRRunSpec
		want string
	}{
		"fraction":         {SimCLRRunSpec{Finetuning: []FinetuningSpec{{Name: "few", LabelFraction: "half"}}}, "finetuning[few].labelFraction"},
		"epochs of a list": {SimCLRRunSpec{Finetuning: []FinetuningSpec{{Name: "few", LabelSubset: &LabelSubset{File: "one.txt"}}}}, "finetuning[few].epochs"},
		"strength": {SimCLRRunSpec{Augmentations: &AugmentationsSpec{ColorDistortion: &ColorDistortionSpec{Strength: new(Decimal("much"))}}},
			"augmentations.colorDistortion.strength"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Resolve(&SimCLRRun{Spec: tc.spec}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Resolve gave %v, want an error that names %s", err, tc.want)
			}
		})
	}
}
