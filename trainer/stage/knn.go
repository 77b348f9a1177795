package stage

import (
	"context"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/evaluate"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// knn classifies test images by their neighbours among training images, in the features of an encoder.
func (r *runner) knn(ctx context.Context, encoder []safetensors.Tensor, images, others evaluate.Images) (a evaluate.Accuracy, err error) {
	train, test, err := r.features(ctx, r.model, trained{encoder: encoder}, images, others)
	if err != nil {
		return a, err
	}
	k := r.spec.KNN
	knn := evaluate.KNN{Neighbors: int(k.Neighbors), Classes: r.data.classes(), Temperature: k.Temperature.MustFloat()}
	r.Tracker.Begin(report.Evaluating, int64(test.Rows))
	before := 0
	predicted, err := knn.Predict(ctx, train, images.Labels(), test, func(done, _ int) {
		r.Tracker.Advance(int64(done - before))
		before = done
	})
	if err != nil {
		return a, stopped(ctx, err)
	}
	a.AddPredictions(predicted, others.Labels())
	return a, nil
}

// health of the pretraining: z, and kNN where there are labels. It reads weights and gives its memory back;
// images, weights and random numbers of the training are not touched.
func (r *runner) health(s *pretrain.Stepper) loop.Health {
	h := loop.Health{Spread: s.Spread}
	k := r.spec.KNN
	if k.Mode != v1alpha1.Enabled || r.workers.Rank() > 0 {
		return h
	}
	h.KNNEpochs = *k.EveryEpochs
	train, test := r.data.few(r.data.evalTrain, k.OnlineImages), r.data.few(r.data.evalTest, k.OnlineImages)
	h.KNN = func(ctx context.Context) (float64, error) {
		encoder, err := s.Encoder(0)
		if err != nil {
			return 0, err
		}
		a, err := r.knn(ctx, encoder, train, test)
		return 100 * a.Top1Share(), err
	}
	return h
}

// few are at most about so many of labelled images, un-augmented: the same share of each class, and at
// least one.
func (d *data) few(images *dataset.Set, most int32) evaluate.Images {
	if images.Len() <= int(most) {
		return d.plain(images)
	}
	indices, _ := dataset.LabelFraction(images, float64(most)/float64(images.Len()), d.seed)
	return d.plain(dataset.Subset(images, indices))
}
