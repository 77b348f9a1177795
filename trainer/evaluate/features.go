package evaluate

import (
	"context"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// Images are un-augmented labelled images as the encoder sees them.
type Images interface {
	Len() int
	// Label is an image's class id.
	Label(i int) int
	// Fill writes the images first, first+1, …, as many as fit, into dst: CHW values in [0, 1].
	Fill(ctx context.Context, dst []float32, first, n int) error
}

// Inference runs an encoder, and with classes a linear classifier on it, in inference mode.
type Inference struct {
	model model.Config
	batch int
	exec  engine.Executable
	prog  *model.Program
}

// NewInference compiles it. classes 0: the encoder alone.
func NewInference(e engine.Engine, c model.Config, classes int) (*Inference, error) {
	batch := inferenceBatch(c.ImageSize)
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

// inferenceBatch holds as many pixels as 256 images of CIFAR-10.
func inferenceBatch(size int) int { return max(1, min(256, 256*32*32/(size*size))) }

// Set replaces a parameter or running statistics.
func (f *Inference) Set(variable string, v engine.Tensor) error { return f.exec.Set(variable, v) }

// CopyFrom takes all weights from an executable that trains them.
func (f *Inference) CopyFrom(get weights.Getter) error {
	return weights.Copy(f.prog.Parameters, f.prog.Statistics, get, f.exec.Set)
}

// Close frees its memory.
func (f *Inference) Close() error { return f.exec.Close() }

// Features are h of every image, a row each.
func (f *Inference) Features(ctx context.Context, images Images, progress func(n int)) (Matrix, error) {
	return f.run(ctx, images, 0, f.model.Features(), progress)
}

// Logits of every image, a row each.
func (f *Inference) Logits(ctx context.Context, images Images, classes int, progress func(n int)) (Matrix, error) {
	return f.run(ctx, images, 1, classes, progress)
}

func (f *Inference) run(ctx context.Context, images Images, fetch, columns int, progress func(n int)) (Matrix, error) {
	size := f.model.ImageSize
	x := engine.NewTensor(f.batch, 3, size, size)
	m := Matrix{Rows: images.Len(), Columns: columns, Data: make([]float32, 0, images.Len()*columns)}
	for first := 0; first < m.Rows; first += f.batch {
		if ctx.Err() != nil {
			return Matrix{}, context.Cause(ctx)
		}
		// the last batch's other rows keep old images; in inference mode rows do not touch each other
		n := min(f.batch, m.Rows-first)
		if err := images.Fill(ctx, x.Data[:n*3*size*size], first, n); err != nil {
			return Matrix{}, err
		}
		out, err := f.exec.Run(0, x)
		if err != nil {
			return Matrix{}, err
		}
		m.Data = append(m.Data, out[fetch].Data[:n*columns]...)
		progress(n)
	}
	return m, nil
}

// Labels of all images.
func Labels(images Images) []int {
	labels := make([]int, images.Len())
	for i := range labels {
		labels[i] = images.Label(i)
	}
	return labels
}
