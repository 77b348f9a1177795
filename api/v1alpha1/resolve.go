package v1alpha1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// cifarSize is the largest image, in pixels, that is trained as the paper trains CIFAR-10 (appendix B.9);
// larger ones are trained as it trains ImageNet.
const cifarSize = 32

// Resolve is a copy of a run with every default: the schema's, and those that depend on other fields. It
// is a pure function. What others know stays unset: the batch sizes of linear evaluation and finetuning
// are what pretraining computes at once, or all images where they are fewer; the chips of a TPU host and
// its hosts follow from the placement, and the access mode of a claim from them. An error names the field and the fix.
func Resolve(run *SimCLRRun) (*SimCLRRun, error) {
	r := run.DeepCopy()
	SetDefaults(r)
	s := &r.Spec
	fillPointer(&s.Dataset.ImageSize, s.Dataset.ownSize())
	size := *s.Dataset.ImageSize
	s.Encoder.resolve(size)
	s.ProjectionHead.resolve()
	if s.Augmentations == nil {
		s.Augmentations = &AugmentationsSpec{}
	}
	if err := s.Augmentations.resolve(size); err != nil {
		return nil, err
	}
	s.Pretraining.resolve(size)
	later := Disabled
	if s.labelled() {
		later = Enabled
	}
	fill(&s.KNN.Mode, later)
	fill(&s.LinearEvaluation.Mode, later)
	s.LinearEvaluation.resolve(size)
	for i := range s.Finetuning {
		if err := s.Finetuning[i].resolve(); err != nil {
			return nil, err
		}
	}
	s.Accelerator.resolve()
	if s.Accelerator.Type != TPU {
		fillPointer(&s.Workers, 1)
	}
	s.Output.resolve()
	return r, nil
}

// resolve fills what a GPU's pod has: one, beside which there may be few CPU cores to make views.
func (a *AcceleratorSpec) resolve() {
	if a.Type != NvidiaGPU {
		fill(&a.Augmentations, AugmentationsHost)
		return
	}
	fill(&a.Augmentations, AugmentationsAccelerator)
	fillPointer(&a.DevicesPerWorker, 1)
}

// ownSize is the image size that the dataset has, else the one that CIFAR has.
func (d *DatasetSpec) ownSize() int32 {
	if d.Name == "fashion-mnist" || d.Format == FormatIDX {
		return 28
	}
	return cifarSize
}

// labelled says whether the stages after pretraining have labels.
func (s *SimCLRRunSpec) labelled() bool {
	d := &s.Dataset
	if s.Evaluation != nil {
		d = &s.Evaluation.Dataset
	}
	return d.Labels == LabelsFromFormat && d.Format != FormatImages
}

// resolve fills the stem: google-research/simclr's tf2/model.py has cifar_stem at 32 pixels or less.
func (e *EncoderSpec) resolve(size int32) {
	stem := StemImageNet
	if size <= cifarSize {
		stem = StemCIFAR
	}
	fill(&e.Stem, stem)
}

// resolve fills the paper's head (sections 2.1 and 2.3).
func (h *ProjectionHeadSpec) resolve() {
	if h.Type == HeadNone {
		return
	}
	fill(&h.Dimension, 128)
	fill(&h.OutputNormalization, "ScaleOnly")
	if h.Type == HeadNonLinear {
		fill(&h.Layers, 2)
	}
}

// resolve fills the paper's ImageNet protocol, or google-research/simclr's for CIFAR-10.
func (p *PretrainingSpec) resolve(size int32) {
	temperature, rate, scaling, decay := Decimal("0.1"), Decimal("0.3"), "Linear", Decimal("1e-6")
	if size <= cifarSize {
		temperature, rate, scaling, decay = "0.5", "1", "None", "1e-4"
	}
	fillPointer(&p.Temperature, temperature)
	fillPointer(&p.LearningRate, rate)
	fill(&p.LearningRateScaling, scaling)
	fillPointer(&p.WeightDecay, decay)
	fillPointer(&p.WarmupEpochs, min(10, *p.Epochs/10))
	statistics := BatchNormGlobal
	if p.MicroBatchSize != nil {
		statistics = BatchNormMicroBatch
	}
	fill(&p.BatchNormStatistics, statistics)
}

// resolve fills what the method has (paper appendix B.6; google-research/simclr's README for CIFAR-10).
func (l *LinearEvaluationSpec) resolve(size int32) {
	if l.Method == LinearLBFGS {
		fillPointer(&l.WeightDecay, "1e-4")
		fillPointer(&l.MaxIterations, 300)
		return
	}
	epochs := int32(90)
	if size <= cifarSize {
		epochs = 100
	}
	fillPointer(&l.Epochs, epochs)
	fillPointer(&l.LearningRate, "0.1")
	fillPointer(&l.WeightDecay, "0")
}

// resolve fills the protocol of paper appendix B.5.
func (f *FinetuningSpec) resolve() error {
	fillPointer(&f.LearningRate, "0.05")
	fillPointer(&f.WeightDecay, "0")
	if f.LabelSubset != nil {
		if f.Epochs == nil {
			return fmt.Errorf("finetuning[%s].epochs is needed with labelSubset: set it; the paper's are 60 for 1%% of the labels and 30 for 10%%", f.Name)
		}
		return nil
	}
	fraction, err := f.LabelFraction.Float()
	if err != nil {
		return fmt.Errorf("finetuning[%s].labelFraction %w: set it above 0 and at most \"1\"", f.Name, err)
	}
	epochs := int32(30)
	if fraction <= 0.01 {
		epochs = 60
	}
	fillPointer(&f.Epochs, epochs)
	return nil
}

// resolve fills a claim where no existing one is named.
func (o *OutputSpec) resolve() {
	if o.ExistingClaim != "" {
		return
	}
	if o.Claim == nil {
		o.Claim = &ClaimSpec{}
	}
	fillPointer(&o.Claim.Size, resource.MustParse("10Gi"))
	fill(&o.Claim.Retention, ClaimRetain)
}
