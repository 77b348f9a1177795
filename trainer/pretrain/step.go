// Package pretrain is SimCLR's contrastive training (paper section 2.1, algorithm 1).
package pretrain

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/contrastive"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// Config of the contrastive step.
type Config struct {
	Model  model.Config
	Images int // N of this worker
	// MicroBatch images are computed at once; it divides Images. 0: all.
	MicroBatch int
	// Statistics of batch norm. Global: of all workers' views, each having one micro-batch. Else each micro-batch has its own,
	// and second views are of the images that plan.SecondView says; Worker: of one micro-batch a worker.
	Statistics  v1alpha1.BatchNormStatistics
	Temperature float64
	Optimizer   optimizer.Config
	Seed        int64

	bucket int // as bucketSize, of tests; 0 is that
}

// Stepper runs contrastive steps.
type Stepper struct {
	c       Config
	workers collective.Collective
	graph   *collective.Within // the workers as the graph reaches them, within the step that runs
	program *model.Program
	network engine.Executable
	ntxent  engine.Executable // nil: the program is the whole step
	parts   int               // micro-batches of this worker
	grads   sums              // of the parameters, where there are several micro-batches
	stats   sums              // of the batch norms, where there are several groups
	z       engine.Tensor     // everybody's, of the last step
	early   *early            // of the step that runs; nil where gradients are summed at its end
	waited  time.Duration
}

// NewStepper compiles the step and draws the first weights.
func NewStepper(e engine.Engine, c Config, workers collective.Collective) (*Stepper, error) {
	if c.MicroBatch == 0 {
		c.MicroBatch = c.Images
	}
	if c.MicroBatch < 1 || c.Images%c.MicroBatch != 0 {
		return nil, fmt.Errorf("micro-batches of %d images are no part of a batch of %d", c.MicroBatch, c.Images)
	}
	s := &Stepper{c: c, workers: workers, graph: &collective.Within{Collective: workers}, parts: c.Images / c.MicroBatch}
	if s.parts > 1 && (c.Statistics == v1alpha1.BatchNormGlobal || c.Statistics == v1alpha1.BatchNormWorker) {
		return nil, fmt.Errorf("batch norm's statistics %s are of one micro-batch a worker, not of %d", c.Statistics, s.parts)
	}
	if err := s.checkJoint(e); err != nil {
		return nil, err
	}
	if s.whole(e) {
		if err := s.compileWhole(e); err != nil {
			return nil, err
		}
		return s, nil
	}
	compile := model.Contrastive
	if s.groups() > 1 { // of batch norm: the running statistics follow the mean over all of them
		compile = model.MicroBatch
	}
	if c.Statistics == v1alpha1.BatchNormGlobal {
		c.Model.NormWorkers = workers.Size()
	}
	var err error
	if s.program, err = compile(c.Model, c.MicroBatch, c.Optimizer); err != nil {
		return nil, err
	}
	s.program.Workers, s.program.Early = s.graph, s.tell
	loss, err := model.NTXent(s.rows(), c.Model.Dimension, c.Temperature)
	if err != nil {
		return nil, err
	}
	if s.network, err = e.Compile(s.program.Program); err != nil {
		return nil, err
	}
	if s.ntxent, err = e.Compile(loss); err != nil {
		return nil, closing(err, s.network)
	}
	if err := weights.Initialize(s.program.Parameters, s.program.Statistics, c.Seed, s.network.Set); err != nil {
		return nil, closing(err, s.network, s.ntxent)
	}
	return s, nil
}

// rows of everybody's z.
func (s *Stepper) rows() int { return 2 * s.c.Images * s.workers.Size() }

// groups of batch norm, over all workers.
func (s *Stepper) groups() int { return plan.Groups(s.c.Statistics, s.workers.Size(), s.parts) }

func closing(err error, xs ...engine.Executable) error {
	for _, x := range xs {
		_ = x.Close() // err is what went wrong
	}
	return err
}

// Step is one training step on this worker's views. It updates nothing where the loss is not a number.
func (s *Stepper) Step(ctx context.Context, views Views, learningRate float64) (loop.Measure, error) {
	s.graph.Context = ctx
	if s.ntxent == nil {
		return s.stepAtOnce(ctx, views, learningRate)
	}
	// 1: z of the own views
	own, err := s.forward(ctx, views)
	if err != nil {
		return loop.Measure{}, err
	}
	// 2: everybody's z
	gathered, err := s.workers.AllGather(ctx, own)
	if err != nil {
		return loop.Measure{}, err
	}
	// 3: NT-Xent over all views
	s.z = engine.Tensor{Shape: []int{s.rows(), s.c.Model.Dimension}, Data: matched(byView(gathered), s.groups(), s.c.Model.Dimension)}
	out, err := s.ntxent.Run(0, s.z, engine.Scalar(1))
	if err != nil {
		return loop.Measure{}, err
	}
	m := loop.Measure{Loss: float64(out[0].Data[0]), Accuracy: 100 * float64(out[1].Data[0])}
	if math.IsNaN(m.Loss) || math.IsInf(m.Loss, 0) {
		return m, nil
	}
	// 4: back through the network from the own rows of dz
	s.beginEarly(ctx)
	dz := dealt(out[2].Data, s.groups(), s.c.Model.Dimension)
	grads, err := s.backward(ctx, views, own, part(dz, s.workers.Rank(), s.workers.Size()))
	// 5: gradients summed over micro-batches and workers, never averaged: the loss is the mean over all
	// anchors already
	if err := s.reduce(ctx, grads, err); err != nil {
		return m, err
	}
	// 6: update
	return m, s.update(learningRate, grads)
}

// reduce sums gradients and statistics over the workers, unless the backward pass has failed.
func (s *Stepper) reduce(ctx context.Context, grads [][]float32, failed error) error {
	begun := time.Now()
	defer func() { s.waited = time.Since(begun) }()
	all := slices.Concat(grads, s.stats)
	switch {
	case failed != nil && s.early != nil:
		_ = s.early.abandon() // the backward pass's error comes first
		return failed
	case failed != nil:
		return failed
	case s.early != nil:
		return s.early.end(all)
	}
	return s.workers.AllReduceSum(ctx, distinct(all)...)
}

// update takes the sums of the gradients. Where batch norm has several groups, its running statistics
// follow the mean of theirs.
func (s *Stepper) update(learningRate float64, grads [][]float32) error {
	for _, sum := range s.stats {
		for k := range sum {
			sum[k] /= float32(s.groups())
		}
	}
	feeds := []engine.Tensor{engine.Scalar(float32(learningRate))}
	for i, data := range slices.Concat(grads, s.stats) {
		feeds = append(feeds, engine.Tensor{Shape: s.program.Segments[model.Update].Feeds[i+1].Shape(), Data: data})
	}
	_, err := s.network.Run(model.Update, feeds...)
	return err
}

// Waited is how long the last step waited for the sums of gradients over the workers, after its backward pass.
func (s *Stepper) Waited() time.Duration { return s.waited }

// Spread of everybody's z in the last step.
func (s *Stepper) Spread() (contrastive.Spread, error) {
	z, err := s.lastZ()
	if err != nil {
		return contrastive.Spread{}, err
	}
	return contrastive.SpreadOf(z, s.rows()), nil
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

// Head are the projection head's tensors, as weights.Head names them, after so many steps.
func (s *Stepper) Head(steps int64) ([]safetensors.Tensor, error) {
	return weights.Head(s.c.Model, s.network.Get, steps)
}

// Close frees the step's memory.
func (s *Stepper) Close() error {
	if s.ntxent == nil {
		return s.network.Close()
	}
	return closing(s.ntxent.Close(), s.network)
}
