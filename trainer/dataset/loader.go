package dataset

import (
	"errors"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// Transform makes the views of an image that a network sees. It holds scratch: each worker has its own.
type Transform interface {
	// Apply writes view (from 0) of the image with the given index in the dataset to dst, (3,S,S) in [0,1].
	// The result depends on nothing but the arguments.
	Apply(dst []float32, img Image, epoch, index, view int)
}

// Preparer is a Transform whose views an accelerator makes, of what it prepares.
type Preparer interface {
	Transform
	// Prepare writes the pixels of a view to source (Edge,Edge,3), which has those of another one, and what makes the view of
	// them to parameters (Parameters), which has anything.
	Prepare(source []uint8, parameters []float32, img Image, epoch, index, view int)
}

// LoaderConfig says what a Loader gives.
type LoaderConfig struct {
	Data Dataset
	// Batch is the number of images of a batch of this worker, Size their height and width in pixels,
	// Views the views of each image.
	Batch, Size, Views int
	// NewTransform makes the Transform of one goroutine.
	NewTransform func() Transform
	// Edge and Parameters, where they are set, are what a batch has of each view instead of its pixels: a source and numbers.
	// Transforms are Preparers then.
	Edge, Parameters int
	// Parts, of equal size, that a batch comes in, one after the other; 0: 1. Of several, all but the last come
	// a second time before the next batch where Again is set, made anew and the same.
	Parts int
	Again bool
	// Dealt: the second of two views in a part are of the images of the global batch that plan.SecondView says.
	Dealt bool
	// Rows: rank r has the r-th part of the rows of the global batch, which are its images' first views, then their second ones; else
	// of its images, with all views of each. Of two workers one has all first views, the other all second ones.
	Rows bool
	// Sequential gives the images once, in the set's order, the last batch smaller; else every epoch is
	// shuffled by Seed, and the last, smaller batch is dropped.
	Sequential bool
	Seed       uint64
	// Rank of World workers: of each global batch of World·Batch images, rank r has the r-th part. 0 of 0
	// is 0 of 1. A sequential loader gives every rank all images.
	Rank, World int
	// Epochs to give; 0: without end. A sequential loader gives one.
	Epochs int
	// Workers make views beside the training, with which they share the cores. 0: 1.
	Workers int
	// Prefetch is how many batches, or parts of batches, are made ahead. 0: 2.
	Prefetch int
}

// Loader makes batches.
type Loader struct {
	c    LoaderConfig
	free chan memory // as many as can be in use: prefetched, in the making, with the reader
}

// Batch of images, or a part of one.
type Batch struct {
	Epoch, Index, Part int // from 0; Index within the epoch, Part within the batch
	// Pixels are (Views·B, 3, Size, Size) in [0,1]: the first views of all images, then the second. Where views are prepared,
	// Sources (Views·B,Edge,Edge,3) and Parameters (Views·B,Parameters) are what each is made of.
	Pixels     []float32
	Sources    []uint8
	Parameters []float32
	// Labels of the B images, -1 without labels, and their indices in the dataset. Of a part of the rows (LoaderConfig.Rows) they are
	// each row's.
	Labels, Images []int
	// Seconds are the images of the second views, where they are dealt out.
	Seconds []int

	of     []int // the view that each row is, where a worker has a part of the rows
	loader *Loader
}

// memory of a batch's views.
type memory struct {
	pixels     []float32
	sources    []uint8
	parameters []float32
}

// Release gives the batch's memory back, for a later batch; its views must not be used any more.
func (b *Batch) Release() {
	if b.Pixels == nil && b.Sources == nil {
		return
	}
	select {
	case b.loader.free <- memory{b.Pixels, b.Sources, b.Parameters}:
	default:
	}
	b.Pixels, b.Sources, b.Parameters = nil, nil, nil
}

// NewLoader checks the configuration. Fewer images than one batch of all workers is a user error.
func NewLoader(c LoaderConfig) (*Loader, error) {
	c.World, c.Workers, c.Parts = max(c.World, 1), max(c.Workers, 1), max(c.Parts, 1)
	if c.Prefetch == 0 {
		c.Prefetch = 2
	}
	if c.Sequential {
		c.Epochs = 1
	}
	switch {
	case c.Batch < 1 || c.Size < 1 || c.Views < 1:
		return nil, contract.UserErrorf("InvalidBatch", "batchSize %d over %d workers gives no image to each; raise spec.batchSize", c.Batch*c.World, c.World)
	case c.Dealt && (c.Views != 2 || c.Sequential):
		return nil, errors.New("second views are dealt out of two, in training")
	case c.Rows && (c.Dealt || c.Sequential || c.Parts > 1):
		return nil, errors.New("a part of the rows is one of whole batches, in training")
	case c.Edge > 0 && c.Parameters < 1:
		return nil, errors.New("prepared views have parameters")
	case c.Batch%c.Parts != 0:
		return nil, contract.UserErrorf("InvalidBatch", "a batch of %d images has no %d equal parts; set pretraining.microBatchSize so that it divides it", c.Batch, c.Parts)
	case c.Data.Len() == 0:
		return nil, contract.UserErrorf("TooFewImages", "the dataset has no images; correct spec.dataset")
	case !c.Sequential && c.Data.Len() < c.Batch*c.World:
		return nil, contract.UserErrorf("TooFewImages", "%d images are fewer than a batch of %d; lower spec.batchSize to at most %d, or use more images", c.Data.Len(), c.Batch*c.World, c.Data.Len())
	}
	return &Loader{c: c, free: make(chan memory, c.Prefetch+1+c.Parts)}, nil
}

// Batches of an epoch.
func (l *Loader) Batches() int {
	if l.c.Sequential {
		return (l.c.Data.Len() + l.c.Batch - 1) / l.c.Batch
	}
	return l.c.Data.Len() / (l.c.Batch * l.c.World)
}

// Edge of the sources of prepared views, in pixels; 0: views are not prepared.
func (l *Loader) Edge() int { return l.c.Edge }

// Rows are the views of a batch, or of a part of one.
func (l *Loader) Rows() int { return l.c.Views * l.c.Batch / l.c.Parts }

// order of the images of an epoch.
func (l *Loader) order(epoch int) []int {
	n := l.c.Data.Len()
	if d, ok := l.c.Data.(interface {
		Order(seed, epoch uint64) []int
	}); ok && !l.c.Sequential {
		return d.Order(l.c.Seed, uint64(epoch))
	}
	if !l.c.Sequential {
		return Shuffled(n, l.c.Seed, uint64(epoch))
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// global batch b of the order.
func (l *Loader) global(order []int, b int) []int {
	n := l.c.Batch
	if !l.c.Sequential {
		n *= l.c.World
	}
	return order[b*n : min(len(order), (b+1)*n)]
}

// part of a global batch: the images of this rank's, and those of its second views where they are others.
func (l *Loader) part(global []int, part int) (images, seconds []int) {
	if l.c.Sequential {
		return global, nil
	}
	group, groups, size := l.c.Rank*l.c.Parts+part, l.c.World*l.c.Parts, l.c.Batch/l.c.Parts
	if l.c.Dealt && groups > 1 {
		for at := range size {
			seconds = append(seconds, global[plan.SecondView(group, at, groups)])
		}
	}
	return global[group*size : (group+1)*size], seconds
}

// sequence of the parts that each batch comes in.
func (l *Loader) sequence() []int {
	var parts []int
	for part := range l.c.Parts {
		parts = append(parts, part)
	}
	if l.c.Again {
		parts = append(parts, parts[:l.c.Parts-1]...)
	}
	return parts
}

// ownRows of a global batch are this rank's: each one's image, and which view it is.
func (l *Loader) ownRows(global []int) (images, of []int) {
	n := l.c.Views * l.c.Batch
	for row := l.c.Rank * n; row < (l.c.Rank+1)*n; row++ {
		images, of = append(images, global[row%len(global)]), append(of, row/len(global))
	}
	return images, of
}

func (l *Loader) newBatch(epoch, index, part int, global []int) *Batch {
	b := &Batch{Epoch: epoch, Index: index, Part: part, loader: l}
	views := l.c.Views * l.c.Batch / l.c.Parts
	if l.c.Rows {
		b.Images, b.of = l.ownRows(global)
	} else {
		b.Images, b.Seconds = l.part(global, part)
		views = l.c.Views * len(b.Images)
	}
	images := b.Images
	b.Labels = make([]int, len(images))
	for i, image := range images {
		b.Labels[i] = l.c.Data.Label(image)
	}
	var m memory
	select {
	case m = <-l.free:
	default:
	}
	if l.c.Edge > 0 {
		b.Sources, b.Parameters = sized(m.sources, views*3*l.c.Edge*l.c.Edge), sized(m.parameters, views*l.c.Parameters)
	} else {
		b.Pixels = sized(m.pixels, views*3*l.c.Size*l.c.Size)
	}
	return b
}

// sized is a slice of n values, in the same memory where that is enough.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
