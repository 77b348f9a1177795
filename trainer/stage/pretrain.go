package stage

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/evaluate"
	"github.com/simclr-operator/simclr-operator/trainer/export"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// pretrain trains the encoder, exports it and classifies by its features.
func (r *runner) pretrain(ctx context.Context) (*v1alpha1.Results, error) {
	w, loss, err := r.train(ctx)
	if err != nil {
		return nil, err
	}
	results := &v1alpha1.Results{}
	if r.workers.Rank() > 0 {
		return results, nil
	}
	if r.stage.TotalSteps > 0 {
		results.PretrainingLoss = fmt.Sprintf("%.4f", loss)
	}
	return results, r.finish(ctx, results, w, export.Source{Run: r.Run.Name, ConfigHash: r.hash, Step: r.stage.TotalSteps})
}

// train gives the trained weights and the last loss. The training step's memory is free when it returns,
// before what comes next takes its own.
func (r *runner) train(ctx context.Context) (w trained, loss float64, err error) {
	s, err := pretrain.NewStepper(r.engine, pretrain.FromSpec(r.spec, r.stage.Share(), r.stage.MicroBatch), r.workers)
	if err != nil {
		return w, 0, r.fitting(err)
	}
	defer s.Close()
	views, err := r.data.views(r.stage, r.workers.Rank(), r.Tracker.Part)
	if err != nil {
		return w, 0, err
	}
	defer views.close()
	if err := views.makeViews(r.engine); err != nil {
		return w, 0, r.fitting(err)
	}
	if place := s.Placer(); place != nil {
		views.ahead = &ahead{batches: views.batches, place: views.placed(place)}
	}
	l := r.loop()
	loss, err = l.Run(ctx, loop.Task{
		Snapshot: s.Snapshot, Restore: s.Restore, Health: r.health(s),
		Step: func(ctx context.Context, at loop.Position, rate float64) (loop.Measure, error) {
			defer views.release()
			return s.Step(ctx, views.views(at), rate)
		},
	})
	if r.agreed = l.Stopped(); err != nil {
		return w, 0, r.fitting(err)
	}
	if w.encoder, err = s.Encoder(r.stage.TotalSteps); err != nil {
		return w, 0, err
	}
	w.head, err = s.Head(r.stage.TotalSteps)
	return w, loss, err
}

// finish exports the encoder and classifies by its features.
func (r *runner) finish(ctx context.Context, results *v1alpha1.Results, w trained, source export.Source) (err error) {
	if err := r.store.Fence(); err != nil {
		return err
	}
	r.encoderSHA256, err = export.Write(filepath.Join(r.Output, contract.EncoderDir), r.exported(w), source)
	if err != nil || r.spec.KNN.Mode != v1alpha1.Enabled {
		return err
	}
	a, err := r.knn(ctx, w.encoder, r.data.labelledTrain(), r.data.labelledTest())
	if err != nil {
		return err
	}
	results.KNNTop1 = a.Top1Percent()
	r.Tracker.KNN(int32(r.stage.Epochs), a.Top1Share()*100)
	return nil
}

// features that a network with these weights represents training and test images by.
func (r *runner) features(ctx context.Context, c model.Config, w trained, images, others evaluate.Images) (train, test evaluate.Matrix, err error) {
	f, err := evaluate.NewInference(engine.Alone(r.engine), c, 0)
	if err != nil {
		return train, test, r.fitting(err)
	}
	defer f.Close()
	if err := weights.SetEncoder(c, w.encoder, f.Set); err != nil {
		return train, test, err
	}
	if err := weights.SetHead(c, w.head, f.Set); err != nil {
		return train, test, err
	}
	before, err := f.EncoderHash()
	if err != nil {
		return train, test, err
	}
	r.Tracker.Begin(report.Evaluating, int64(images.Data.Len()+others.Data.Len()))
	advance := func(n int) { r.Tracker.Advance(int64(n)) }
	if train, err = f.Features(ctx, images, advance); err != nil {
		return train, test, err
	}
	if test, err = f.Features(ctx, others, advance); err != nil {
		return train, test, err
	}
	if err := f.CheckFrozen(before); err != nil {
		return train, test, err
	}
	r.Log.Info("the encoder is as it was", "sha256", before)
	return train, test, nil
}

// stopped is the context's cause where that is what ended something, else the error.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
