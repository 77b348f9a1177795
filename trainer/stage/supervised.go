package stage

import (
	"context"
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/evaluate"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// linearLBFGS fits a linear classifier to features of un-augmented images.
func (r *runner) linearLBFGS(ctx context.Context) (*v1alpha1.Results, error) {
	w, err := r.trained()
	if err != nil {
		return nil, err
	}
	train, test, err := r.features(ctx, r.represented(r.spec.LinearEvaluation.Features), w, r.data.labelledTrain(), r.data.labelledTest())
	if err != nil {
		return nil, err
	}
	l := r.spec.LinearEvaluation
	r.Tracker.Begin(report.Training, r.stage.TotalSteps)
	fit := evaluate.LBFGS{
		Classes: r.data.classes(), MaxIterations: int(*l.MaxIterations), WeightDecay: l.WeightDecay.MustFloat(),
		Progress: func(iteration int, loss float64) {
			r.Tracker.Step(report.Step{Epoch: 1, Step: int64(iteration), TotalSteps: r.stage.TotalSteps, Loss: loss})
		},
	}
	c, err := fit.Fit(ctx, train, r.data.labelledTrain().Labels())
	if err != nil {
		return nil, stopped(ctx, err)
	}
	var a evaluate.Accuracy
	a.AddLogits(c.Logits(test), r.data.labelledTest().Labels())
	return &v1alpha1.Results{LinearTop1: a.Top1Percent(), LinearTop5: a.Top5Percent()}, nil
}

// linearSGD trains a linear classifier on the frozen encoder, on randomly cropped and flipped images
// (paper appendix B.6).
func (r *runner) linearSGD(ctx context.Context) (*v1alpha1.Results, error) {
	w, err := r.trained()
	if err != nil {
		return nil, err
	}
	a, err := r.supervised(ctx, evaluate.ClassifierConfig{
		Model: r.represented(r.spec.LinearEvaluation.Features), Frozen: true, Encoder: w.encoder, Head: w.head, WeightDecay: r.spec.LinearEvaluation.WeightDecay.MustFloat(),
	}, r.data.evalTrain)
	if err != nil {
		return nil, err
	}
	return &v1alpha1.Results{LinearTop1: a.Top1Percent(), LinearTop5: a.Top5Percent()}, nil
}

// finetune trains encoder and classifier on some of the labels (paper appendix B.5).
func (r *runner) finetune(ctx context.Context) (*v1alpha1.Results, error) {
	f := r.finetuning()
	c := evaluate.ClassifierConfig{Model: r.represented(f.Features), WeightDecay: f.WeightDecay.MustFloat()}
	if f.From == v1alpha1.FromPretrained {
		w, err := r.trained()
		if err != nil {
			return nil, err
		}
		c.Encoder, c.Head = w.encoder, w.head
	}
	l := r.data.chosen(f)
	r.Log.Info("labels", append(chosenBy(f), "used", len(l.indices), "ofEachClass", l.counts)...)
	a, err := r.supervised(ctx, c, dataset.Subset(r.data.evalTrain, l.indices))
	if err != nil {
		return nil, err
	}
	return &v1alpha1.Results{Finetune: []v1alpha1.FinetuneResult{{
		Name: f.Name, Top1: a.Top1Percent(), Top5: a.Top5Percent(), Labels: int64(len(l.indices)),
	}}}, nil
}

// finetuning is this stage's entry.
func (r *runner) finetuning() *v1alpha1.FinetuningSpec {
	for i := range r.spec.Finetuning {
		if r.spec.Finetuning[i].Name == r.Stage {
			return &r.spec.Finetuning[i]
		}
	}
	return nil // plan.New has found the stage
}

// supervised trains a classifier on images and tests it on all test images.
func (r *runner) supervised(ctx context.Context, c evaluate.ClassifierConfig, images dataset.Dataset) (evaluate.Accuracy, error) {
	var none evaluate.Accuracy
	c.Batch, c.Classes, c.Seed = r.stage.Batch, r.data.classes(), *r.spec.Pretraining.Seed
	if n := engine.Devices(r.engine); c.Batch%n != 0 {
		r.Tracker.Warn(fmt.Sprintf("batchSize %d cannot be shared by %d devices, so that each computes all of it; set that of %s to a multiple of them", c.Batch, n, r.Stage))
	}
	t, err := evaluate.NewClassifier(r.engine, c)
	if err != nil {
		return none, r.fitting(err)
	}
	defer t.Close()
	before, err := t.EncoderHash()
	if err != nil {
		return none, err
	}
	crops, err := r.data.crops(images, r.stage.Batch)
	if err != nil {
		return none, err
	}
	defer crops.close()
	_, err = r.loop().Run(ctx, loop.Task{
		Snapshot: t.Snapshot, Restore: t.Restore,
		Step: crops.step(func(_ context.Context, b *dataset.Batch, rate float64) (loop.Measure, error) {
			return t.Step(pixels(b, r.model.ImageSize), classIDs(b), rate)
		}),
	})
	if err != nil {
		return none, r.fitting(err)
	}
	if c.Frozen {
		if err := t.CheckFrozen(before); err != nil {
			return none, err
		}
		r.Log.Info("the encoder is as it was", "sha256", before)
	}
	test := r.data.labelledTest()
	r.Tracker.Begin(report.Evaluating, int64(test.Data.Len()))
	a, err := t.Accuracy(ctx, test, func(n int) { r.Tracker.Advance(int64(n)) })
	return a, r.fitting(err)
}
