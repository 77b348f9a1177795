package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// Images are labelled images as the encoder sees them: un-augmented.
type Images struct {
	Data dataset.Dataset
	// NewTransform makes what resizes an image, one for each of the Workers that decode.
	NewTransform func() dataset.Transform
	Workers      int
}

// Labels of all images.
func (i Images) Labels() []int {
	labels := make([]int, i.Data.Len())
	for at := range labels {
		labels[at] = i.Data.Label(at)
	}
	return labels
}

// Inference runs a network up to its representation, and with classes a linear classifier on it, in inference
// mode.
type Inference struct {
	model model.Config
	batch int
	exec  engine.Executable
	prog  *model.Program
}

// NewInference compiles it. classes 0: without a classifier. An engine's devices have as many images each as one that is alone.
func NewInference(e engine.Engine, c model.Config, classes int) (*Inference, error) {
	batch := plan.InferenceBatch(c.ImageSize) * engine.Devices(e)
	p, err := model.Inference(c, batch, classes)
	if err != nil {
		return nil, err
	}
	x, err := e.Compile(p.Program)
	if err != nil {
		return nil, err
	}
	return &Inference{model: c, batch: batch, exec: x, prog: p}, nil
}

// Set replaces a parameter or running statistics.
func (f *Inference) Set(variable string, v engine.Tensor) error { return f.exec.Set(variable, v) }

// CopyFrom takes all weights from an executable that trains them.
func (f *Inference) CopyFrom(get weights.Getter) error {
	return weights.Copy(f.prog.Parameters, f.prog.Statistics, get, f.exec.Set)
}

// EncoderHash is the digest of all parameters and running statistics before the classifier.
func (f *Inference) EncoderHash() (string, error) {
	return weights.EncoderHash(f.model, f.exec.Get)
}

// CheckFrozen is an error where the encoder is not the one of a digest.
func (f *Inference) CheckFrozen(before string) error { return checkFrozen(f.EncoderHash, before) }

// checkFrozen: linear evaluation must leave every parameter and running statistic of the encoder as it is.
func checkFrozen(hash func() (string, error), before string) error {
	after, err := hash()
	if err == nil && after != before {
		err = fmt.Errorf("evaluation has changed the encoder: its digest was %s and is %s", before, after)
	}
	return err
}

// Close frees its memory.
func (f *Inference) Close() error { return f.exec.Close() }

// Features are the network's representation of every image, a row each.
func (f *Inference) Features(ctx context.Context, images Images, progress func(n int)) (Matrix, error) {
	return f.run(ctx, images, 0, f.model.RepresentationSize(), progress)
}

// Logits of every image, a row each.
func (f *Inference) Logits(ctx context.Context, images Images, classes int, progress func(n int)) (Matrix, error) {
	return f.run(ctx, images, 1, classes, progress)
}

func (f *Inference) run(ctx context.Context, images Images, fetch, columns int, progress func(n int)) (Matrix, error) {
	size := f.model.ImageSize
	loader, err := dataset.NewLoader(dataset.LoaderConfig{
		Data: images.Data, Batch: f.batch, Size: size, Views: 1, NewTransform: images.NewTransform, Sequential: true, Workers: images.Workers,
	})
	if err != nil {
		return Matrix{}, err
	}
	stream := loader.Start(ctx, 0, 0)
	defer stream.Close()
	x := engine.NewTensor(f.batch, 3, size, size)
	m := Matrix{Rows: images.Data.Len(), Columns: columns, Data: make([]float32, 0, images.Data.Len()*columns)}
	for {
		b, err := stream.Next()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return Matrix{}, err
		}
		// the last batch's other rows keep old images; in inference mode rows do not touch each other
		copy(x.Data, b.Pixels)
		b.Release()
		out, err := f.exec.Run(0, x)
		if err != nil {
			return Matrix{}, err
		}
		m.Data = append(m.Data, out[fetch].Data[:len(b.Images)*columns]...)
		progress(len(b.Images))
	}
}
