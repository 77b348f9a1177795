package evaluate

import (
	"context"
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// ClassifierConfig is how a linear classifier on the network up to Model's representation is trained.
type ClassifierConfig struct {
	Model   model.Config
	Batch   int
	Classes int
	// Frozen: only the classifier is trained, on the network in inference mode (linear evaluation).
	Frozen bool
	// Encoder's tensors by torchvision's names; nil: as the seed initialises it (supervised from scratch).
	Encoder []safetensors.Tensor
	// Head's tensors as weights.Head names them, where Model's representation needs them.
	Head        []safetensors.Tensor
	WeightDecay float64
	Seed        int64
}

// sgdMomentum of both protocols (paper appendices B.5 and B.6).
const sgdMomentum = 0.9

// Classifier trains by SGD with Nesterov momentum.
type Classifier struct {
	c    ClassifierConfig
	e    engine.Engine
	prog *model.SupervisedProgram
	exec engine.Executable
}

// NewClassifier compiles the training step and sets the first weights.
func NewClassifier(e engine.Engine, c ClassifierConfig) (*Classifier, error) {
	o := optimizer.Config{Kind: "SGD", Momentum: sgdMomentum, WeightDecay: c.WeightDecay}
	p, err := model.Supervised(c.Model, c.Batch, c.Classes, c.Frozen, o)
	if err != nil {
		return nil, err
	}
	x, err := e.Compile(p.Program.Program)
	if err != nil {
		return nil, err
	}
	t := &Classifier{c: c, e: e, prog: p, exec: x}
	err = weights.Initialize(p.Parameters, p.Statistics, c.Seed, x.Set)
	if err == nil && c.Encoder != nil {
		if err = weights.SetEncoder(c.Model, c.Encoder, x.Set); err == nil {
			err = weights.SetHead(c.Model, c.Head, x.Set)
		}
	}
	if err != nil {
		_ = x.Close() // err is what went wrong
		return nil, err
	}
	return t, nil
}

// Step trains on a batch: images (B, 3, S, S) and class ids (B). It updates nothing where the loss is not
// a number.
func (t *Classifier) Step(images, labels engine.Tensor, learningRate float64) (loop.Measure, error) {
	out, err := t.exec.Run(model.LossAndGradients, images, labels, engine.Scalar(1))
	if err != nil {
		return loop.Measure{}, err
	}
	m := loop.Measure{Loss: float64(out[0].Data[0])}
	if math.IsNaN(m.Loss) || math.IsInf(m.Loss, 0) {
		return m, nil
	}
	feeds := append([]engine.Tensor{engine.Scalar(float32(learningRate))}, out[2:]...)
	_, err = t.exec.Run(model.SupervisedUpdate, feeds...)
	return m, err
}

// Snapshot copies parameters, momenta and running statistics.
func (t *Classifier) Snapshot() ([]safetensors.Tensor, error) {
	return weights.Snapshot(t.prog.Variables, t.exec.Get)
}

// Restore sets them.
func (t *Classifier) Restore(ts []safetensors.Tensor) error {
	return weights.Restore(t.prog.Variables, ts, t.exec.Set)
}

// EncoderHash is the digest of all parameters and running statistics before the classifier.
func (t *Classifier) EncoderHash() (string, error) {
	return weights.EncoderHash(t.c.Model, t.exec.Get)
}

// CheckFrozen is an error where the encoder is not the one of a digest.
func (t *Classifier) CheckFrozen(before string) error { return checkFrozen(t.EncoderHash, before) }

// Accuracy on images, with the running statistics.
func (t *Classifier) Accuracy(ctx context.Context, images Images, progress func(n int)) (Accuracy, error) {
	var a Accuracy
	f, err := NewInference(t.e, t.c.Model, t.c.Classes)
	if err != nil {
		return a, err
	}
	defer f.Close()
	if err := f.CopyFrom(t.exec.Get); err != nil {
		return a, err
	}
	logits, err := f.Logits(ctx, images, t.c.Classes, progress)
	if err != nil {
		return a, err
	}
	a.AddLogits(logits, images.Labels())
	return a, nil
}

// Close frees the step's memory.
func (t *Classifier) Close() error { return t.exec.Close() }
