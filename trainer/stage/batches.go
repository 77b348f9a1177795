package stage

import (
	"context"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/evaluate"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// views gives two augmented views of a worker's part of the pretraining images, a micro-batch at a time, and tells
// when one begins. Of workers that are one program it gives the worker's part of the batch's rows.
func (d *data) views(s plan.Stage, rank int, begun func()) (*microBatches, error) {
	c, err := d.augmentations()
	if err != nil {
		return nil, err
	}
	l := dataset.LoaderConfig{
		Data: d.train, Batch: s.Share(), Views: 2, Parts: s.MicroBatches(), Again: s.ViewsTwice, Rank: rank, World: s.Workers,
		Dealt: d.spec.Pretraining.BatchNormStatistics != v1alpha1.BatchNormGlobal,
		Rows:  oneProgram(d.spec, s.Workers),
	}
	if !l.Again {
		l.Prefetch = 2 * l.Parts
	}
	if l.Edge, err = d.prepared(c); err != nil {
		return nil, err
	}
	b, err := d.batches(l, c)
	return &microBatches{batches: b, config: c, twice: l.Again, begun: begun}, err
}

// crops gives labelled images, cropped and flipped at random.
func (d *data) crops(images dataset.Dataset, batch int) (*batches, error) {
	c, err := d.augmentations()
	if err != nil {
		return nil, err
	}
	return d.batches(dataset.LoaderConfig{Data: images, Batch: batch, Views: 1}, c.CropAndFlip())
}

func (d *data) augmentations() (augment.Config, error) {
	return augment.FromSpec(d.size(), d.spec.Augmentations)
}

func (d *data) size() int { return int(*d.spec.Dataset.ImageSize) }

func (d *data) batches(l dataset.LoaderConfig, c augment.Config) (b *batches, err error) {
	l.Size, l.Seed, l.Workers = c.Size, d.seed, d.workers
	if l.Edge > 0 {
		l.Parameters = augment.Parameters
		l.NewTransform, err = augment.PreparerFactory(c, d.seed, l.Edge)
	} else {
		l.NewTransform, err = augment.Factory(c, d.seed)
	}
	if err != nil {
		return nil, err
	}
	b = &batches{waited: d.waited}
	b.loader, err = dataset.NewLoader(l)
	return b, err
}

// labelledTrain and labelledTest are the evaluation data's splits, un-augmented.
func (d *data) labelledTrain() evaluate.Images { return d.plain(d.evalTrain) }
func (d *data) labelledTest() evaluate.Images  { return d.plain(d.evalTest) }

func (d *data) plain(images dataset.Dataset) evaluate.Images {
	return evaluate.Images{Data: images, Workers: d.workers, NewTransform: d.unaugmented}
}

// batches are a training's, from whatever position it goes on.
type batches struct {
	loader *dataset.Loader
	stream *dataset.Stream
	waited func(time.Duration) // told how long the next batch was waited for
}

// next is the batch at a position: the first call says where to begin, later ones follow it.
func (b *batches) next(ctx context.Context, at loop.Position) (*dataset.Batch, error) {
	begun := time.Now()
	defer func() { b.waited(time.Since(begun)) }()
	return b.fetch(ctx, at)
}

// fetch is next where nothing waits for it yet.
func (b *batches) fetch(ctx context.Context, at loop.Position) (*dataset.Batch, error) {
	if b.stream == nil {
		b.stream = b.loader.Start(ctx, int(at.Epoch), int(at.Batch))
	}
	return b.stream.Next()
}

// step is a task's step that trains on the batch at a position.
func (b *batches) step(train func(ctx context.Context, b *dataset.Batch, rate float64) (loop.Measure, error)) func(context.Context, loop.Position, float64) (loop.Measure, error) {
	return func(ctx context.Context, at loop.Position, rate float64) (loop.Measure, error) {
		batch, err := b.next(ctx, at)
		if err != nil {
			return loop.Measure{}, err
		}
		defer batch.Release()
		return train(ctx, batch, rate)
	}
}

func (b *batches) close() {
	if b.stream != nil {
		b.stream.Close()
	}
}

// pixels of a batch as an engine's value.
func pixels(b *dataset.Batch, size int) engine.Tensor {
	return engine.Tensor{Shape: []int{len(b.Pixels) / (3 * size * size), 3, size, size}, Data: b.Pixels}
}

// classIDs of a batch as an engine's value.
func classIDs(b *dataset.Batch) engine.Tensor {
	t := engine.NewTensor(len(b.Labels))
	for i, label := range b.Labels {
		t.Data[i] = float32(label)
	}
	return t
}
