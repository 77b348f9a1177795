package plan

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// builder makes the stages of a spec.
type builder struct {
	spec  *v1alpha1.SimCLRRunSpec
	facts Facts
	net   Network
}

func (b builder) pretraining() (Stage, error) {
	p := b.spec.Pretraining
	s := Stage{Name: v1alpha1.StagePretrain, Kind: Pretraining, Images: b.facts.Pretraining.Train, batchField: "batchSize"}
	if p.From != nil {
		s.Kind, s.Images = TakeOver, 0
		return s, nil
	}
	if p.Epochs == nil || p.WarmupEpochs == nil || p.LearningRate == nil {
		return s, unresolved("pretraining.epochs, warmupEpochs and learningRate")
	}
	if s.Images == 0 {
		return s, contract.UserErrorf("NoImages", "dataset has no training images; name a directory that has some")
	}
	batch, warmup := int(b.spec.BatchSize), int(*p.WarmupEpochs)
	if warmup > int(*p.Epochs) {
		return s, contract.UserErrorf("InvalidSpec", "pretraining.warmupEpochs %d is more than pretraining.epochs %d; set it to at most that", warmup, *p.Epochs)
	}
	rate, err := positive("pretraining.learningRate", *p.LearningRate)
	if err != nil {
		return s, err
	}
	if err := s.schedule(batch, int(*p.Epochs), warmup); err != nil {
		return s, err
	}
	s.PeakLearningRate = scaled(rate, p.LearningRateScaling, batch)
	s.Parameters = b.net.EncoderParameters + b.net.HeadParameters
	if s.Workers = b.workers(); batch%s.Workers != 0 {
		return s, contract.UserErrorf("InvalidSpec", "batchSize %d; set it to a multiple of the %d workers, each of which trains on as many images", batch, s.Workers)
	}
	if s.MicroBatch = s.Share(); p.MicroBatchSize != nil {
		s.MicroBatch = int(*p.MicroBatchSize)
	}
	if s.MicroBatch < 1 || s.Share()%s.MicroBatch != 0 {
		return s, contract.UserErrorf("InvalidSpec", "%s %d; set it so that it divides %s", microBatchField, s.MicroBatch, s.share())
	}
	s.devices = WorkerDevices(b.spec.Accelerator)
	if err := s.checkDevices(b.spec.Accelerator); err != nil {
		return s, err
	}
	s.setContrastiveMemory(b.net, p.Precision, b.online())
	return s, s.checkGroups(p.BatchNormStatistics)
}

// checkDevices is a user error where a worker's devices cannot have as many each of the images that are computed at once: then
// each would compute all of them. A trainer on CPUs has none, and one that takes all devices that are there is not looked at.
func (s Stage) checkDevices(a v1alpha1.AcceleratorSpec) error {
	devices, what := WorkerDevices(a), "devices"
	if devices < 1 || s.MicroBatch%devices == 0 {
		return nil
	}
	if deviceCount(a) > 1 {
		what = "cores of the chips"
	}
	field, images := s.batchField, s.share()
	if s.MicroBatch < s.Share() {
		field, images = microBatchField, fmt.Sprintf("%s %d", microBatchField, s.MicroBatch)
	}
	return contract.UserErrorf("InvalidSpec", "%s: the %d %s of accelerator.devicesPerWorker cannot have as many each; set %s to a multiple of them on each worker, or accelerator.devicesPerWorker so that it divides them",
		images, devices, what, field)
}

// workers that pretrain together.
func (b builder) workers() int {
	if b.facts.Workers == 0 && b.spec.Workers != nil {
		return int(*b.spec.Workers)
	}
	return max(b.facts.Workers, 1)
}

// online is the memory that kNN takes beside the training, where it is evaluated before its end.
func (b builder) online() int64 {
	k := b.spec.KNN
	if k.Mode != v1alpha1.Enabled || k.EveryEpochs == nil || *k.EveryEpochs == 0 || *k.EveryEpochs >= *b.spec.Pretraining.Epochs {
		return 0
	}
	const similarities = 64 << 20
	fixed, image := b.net.inference(b.net.EncoderParameters)
	rows := min(b.facts.Evaluation.Train, int(k.OnlineImages)) + min(b.facts.Evaluation.Test, int(k.OnlineImages))
	// the features twice: normalised too
	return fixed + image*int64(InferenceBatch(b.net.imageSize)) + 2*float32Bytes*int64(rows)*int64(b.net.Features) + similarities
}

// InferenceBatch is how many images go through an encoder at once that is not trained: as many pixels as 256
// images of CIFAR-10.
func InferenceBatch(imageSize int) int { return max(1, min(256, 256*32*32/(imageSize*imageSize))) }

func (b builder) linear() (Stage, error) {
	l := b.spec.LinearEvaluation
	s := Stage{Name: v1alpha1.StageLinearEval, Images: b.facts.Evaluation.Train, batchField: "linearEvaluation.batchSize"}
	if err := b.labels("linearEvaluation", "linearEvaluation.mode"); err != nil {
		return s, err
	}
	c, err := b.net.classifier(b.spec.ProjectionHead, "linearEvaluation.features", l.Features)
	if err != nil {
		return s, err
	}
	s.Parameters = c.parameters(b.facts.Evaluation.Classes)
	if l.Method == v1alpha1.LinearLBFGS {
		if l.MaxIterations == nil {
			return s, unresolved("linearEvaluation.maxIterations")
		}
		s.Kind, s.TotalSteps = LinearLBFGS, int64(*l.MaxIterations)
		// features of all images, the training ones as float64 again, and their logits
		rows := int64(s.Images)
		s.MemoryBytes = (rows*12+int64(b.facts.Evaluation.Test)*4)*int64(c.features) + rows*8*int64(b.facts.Evaluation.Classes)
		return s, nil
	}
	if l.Epochs == nil || l.LearningRate == nil {
		return s, unresolved("linearEvaluation.epochs and learningRate")
	}
	rate, err := positive("linearEvaluation.learningRate", *l.LearningRate)
	if err != nil {
		return s, err
	}
	s.Kind = LinearSGD
	if err := s.schedule(b.batch(l.BatchSize, s.Images), int(*l.Epochs), 0); err != nil {
		return s, err
	}
	s.PeakLearningRate = scaled(rate, "Linear", s.Batch)
	s.setMemory(b.net.inference(b.net.EncoderParameters + c.head + s.Parameters))
	return s, nil
}

func (b builder) finetuning(i int) (Stage, error) {
	f := b.spec.Finetuning[i]
	field := fmt.Sprintf("finetuning[%s]", f.Name)
	s := Stage{Name: f.Name, Kind: Finetuning, batchField: field + ".batchSize"}
	if err := b.labels(field, "an evaluation dataset with labels, or remove the entry; mode"); err != nil {
		return s, err
	}
	if f.Epochs == nil || f.LearningRate == nil {
		return s, unresolved(field + ".epochs and learningRate")
	}
	rate, err := positive(field+".learningRate", *f.LearningRate)
	if err != nil {
		return s, err
	}
	if err := b.choose(&s, &f, field); err != nil {
		return s, err
	}
	if err := s.schedule(b.batch(f.BatchSize, s.Images), int(*f.Epochs), 0); err != nil {
		return s, err
	}
	s.PeakLearningRate = scaled(rate, "Linear", s.Batch)
	c, err := b.net.classifier(b.spec.ProjectionHead, field+".features", f.Features)
	if err != nil {
		return s, err
	}
	s.Parameters = b.net.EncoderParameters + c.head + c.parameters(b.facts.Evaluation.Classes)
	s.setMemory(b.net.step(s.Parameters, s.Parameters, 1, float32Bytes))
	return s, nil
}

// batch is the one that is set, else what pretraining computes at once, which fits, or all images where they
// are fewer.
func (b builder) batch(set *int32, images int) int {
	switch micro := b.spec.Pretraining.MicroBatchSize; {
	case set != nil:
		return int(*set)
	case micro != nil:
		return min(int(*micro), images)
	}
	return min(int(b.spec.BatchSize), images)
}

// labels that a part of the spec needs; switch is the field that turns it off.
func (b builder) labels(part, off string) error {
	d, where := b.facts.Evaluation, "dataset"
	if b.spec.Evaluation != nil {
		where = "evaluation.dataset"
	}
	var missing string
	switch {
	case d.Classes == 0:
		missing = "has no labels"
	case d.Classes == 1:
		missing = "has one class only"
	case d.Train == 0:
		missing = "has no training images"
	case d.Test == 0:
		missing = "has no test images"
	default:
		return nil
	}
	return contract.UserErrorf("NoLabels", "%s needs labelled training and test images, and %s %s; set evaluation.dataset to one that has them, or %s to Disabled", part, where, missing, off)
}

// schedule of an epoch's whole batches.
func (s *Stage) schedule(batch, epochs, warmupEpochs int) error {
	if batch > s.Images {
		return contract.UserErrorf("BatchTooLarge", "%s %d is more than the %d images that stage %s trains on; set it to at most %d", s.batchField, batch, s.Images, s.Name, s.Images)
	}
	if batch < 1 {
		return contract.UserErrorf("InvalidSpec", "%s %d; set it to 1 or more", s.batchField, batch)
	}
	s.Batch, s.Epochs = batch, epochs
	s.StepsPerEpoch = int64(s.Images / batch)
	s.TotalSteps = s.StepsPerEpoch * int64(epochs)
	s.WarmupSteps = s.StepsPerEpoch * int64(warmupEpochs)
	return nil
}

// positive is the value of a field.
func positive(field string, d v1alpha1.Decimal) (float64, error) {
	v, err := d.Float()
	if err != nil || v <= 0 {
		return 0, contract.UserErrorf("InvalidSpec", "%s %q; set it to a number above 0", field, d)
	}
	return v, nil
}

func unresolved(fields string) error {
	return fmt.Errorf("planning: %s are not set; the run must be resolved", fields)
}
