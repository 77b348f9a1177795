// Package pretrain is SimCLR's contrastive training (paper section 2.1, algorithm 1).
package pretrain

import (
	"context"
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// Config of the contrastive step.
type Config struct {
	Model       model.Config
	Images      int // N of this worker
	Temperature float64
	Optimizer   optimizer.Config
	Seed        int64
}

// Stepper runs contrastive steps.
type Stepper struct {
	c       Config
	workers collective.Collective
	program *model.Program
	network engine.Executable
	ntxent  engine.Executable
}

// NewStepper compiles the step and draws the first weights.
func NewStepper(e engine.Engine, c Config, workers collective.Collective) (*Stepper, error) {
	p, err := model.Contrastive(c.Model, c.Images, c.Optimizer)
	if err != nil {
		return nil, err
	}
	loss, err := model.NTXent(2*c.Images*workers.Size(), c.Model.Dimension, c.Temperature)
	if err != nil {
		return nil, err
	}
	s := &Stepper{c: c, workers: workers, program: p}
	if s.network, err = e.Compile(p.Program); err != nil {
		return nil, err
	}
	if s.ntxent, err = e.Compile(loss); err != nil {
		return nil, closing(err, s.network)
	}
	if err := weights.Initialize(p.Parameters, p.Statistics, c.Seed, s.network.Set); err != nil {
		return nil, closing(err, s.network, s.ntxent)
	}
	return s, nil
}

func closing(err error, xs ...engine.Executable) error {
	for _, x := range xs {
		_ = x.Close() // err is what went wrong
	}
	return err
}

// Step is one training step on this worker's views (2N, 3, S, S), all first views, then all second. It
// updates nothing where the loss is not a number.
func (s *Stepper) Step(ctx context.Context, views engine.Tensor, learningRate float64) (loop.Measure, error) {
	// 1: z of the own views
	out, err := s.network.Run(model.Forward, views)
	if err != nil {
		return loop.Measure{}, err
	}
	// 2: everybody's z
	parts, err := s.workers.AllGather(ctx, out[0].Data)
	if err != nil {
		return loop.Measure{}, err
	}
	// 3: NT-Xent over all views
	all := byView(parts)
	out, err = s.ntxent.Run(0, engine.Tensor{Shape: []int{2 * s.c.Images * len(parts), s.c.Model.Dimension}, Data: all}, engine.Scalar(1))
	if err != nil {
		return loop.Measure{}, err
	}
	m := loop.Measure{Loss: float64(out[0].Data[0]), Accuracy: 100 * float64(out[1].Data[0])}
	if math.IsNaN(m.Loss) || math.IsInf(m.Loss, 0) {
		return m, nil
	}
	// 4: back through the network from the own rows of dz
	dz := engine.Tensor{Shape: []int{2 * s.c.Images, s.c.Model.Dimension}, Data: own(out[2].Data, s.workers)}
	grads, err := s.network.Run(model.Backward, dz)
	if err != nil {
		return m, err
	}
	// 5: gradients summed over workers, never averaged: the loss is the mean over all anchors already
	buffers := make([][]float32, len(grads))
	for i, g := range grads {
		buffers[i] = g.Data
	}
	if err := s.workers.AllReduceSum(ctx, buffers...); err != nil {
		return m, err
	}
	// 6: update
	_, err = s.network.Run(model.Update, append([]engine.Tensor{engine.Scalar(float32(learningRate))}, grads...)...)
	return m, err
}

// byView orders workers' rows: all first views by global row, then all second. One worker's are so.
func byView(parts [][]float32) []float32 {
	if len(parts) == 1 {
		return parts[0]
	}
	half := len(parts[0]) / 2
	all := make([]float32, 0, 2*half*len(parts))
	for view := range 2 {
		for _, p := range parts {
			all = append(all, p[view*half:(view+1)*half]...)
		}
	}
	return all
}

// own are this worker's rows of what byView ordered.
func own(all []float32, w collective.Collective) []float32 {
	if w.Size() == 1 {
		return all
	}
	half := len(all) / 2
	n := half / w.Size()
	first := w.Rank() * n
	return append(append([]float32{}, all[first:first+n]...), all[half+first:half+first+n]...)
}

// Snapshot copies parameters, momenta and running statistics.
func (s *Stepper) Snapshot() ([]safetensors.Tensor, error) {
	return weights.Snapshot(s.program.Variables, s.network.Get)
}

// Restore sets them.
func (s *Stepper) Restore(ts []safetensors.Tensor) error {
	return weights.Restore(s.program.Variables, ts, s.network.Set)
}

// Encoder are the encoder's tensors by torchvision's names after so many steps.
func (s *Stepper) Encoder(steps int64) ([]safetensors.Tensor, error) {
	return weights.Encoder(s.c.Model, s.network.Get, steps)
}

// Close frees the step's memory.
func (s *Stepper) Close() error { return closing(s.ntxent.Close(), s.network) }
