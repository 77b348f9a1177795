package pretrain

import (
	"context"
	"fmt"
	"slices"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// Gradient caching (Gao et al. 2021, arXiv 2101.06983): NT-Xent needs the z of all views, but neither
// their activations nor their pixels. So z is made first, a micro-batch at a time; then, from the gradient
// of the loss by all z, each micro-batch goes back through the network, after its forward pass has run
// again. The gradient is the whole batch's; memory is a micro-batch's.

// Views gives a step's micro-batches: the views of number at (from 0) of this worker, (2·MicroBatch, 3, S, S),
// all first views, then all second, of other images where there are several groups (plan.SecondView). They are asked for in order, then all but the last in order again. What was given is
// not used after the next call.
type Views func(ctx context.Context, at int) (engine.Tensor, error)

// Whole is a batch of one micro-batch.
func Whole(views engine.Tensor) Views {
	return func(context.Context, int) (engine.Tensor, error) { return views, nil }
}

// forward gives z of all micro-batches, and leaves the last one's activations in the network.
func (s *Stepper) forward(ctx context.Context, views Views) ([]float32, error) {
	var zs [][]float32
	s.stats.forget()
	for at := range s.parts {
		z, stats, err := s.pass(ctx, views, at)
		if err != nil {
			return nil, err
		}
		if s.parts > 1 { // the next pass overwrites it
			z = slices.Clone(z)
		}
		zs = append(zs, z)
		s.stats.add(stats)
	}
	return byView(zs), nil
}

// pass is one micro-batch's forward pass.
func (s *Stepper) pass(ctx context.Context, views Views, at int) (z []float32, stats []engine.Tensor, err error) {
	v, err := views(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	out, err := s.network.Run(model.Forward, v)
	if err != nil {
		return nil, nil, err
	}
	return out[0].Data, out[1:], ctx.Err()
}

// backward gives the gradient of every parameter from that of z, summed over the micro-batches. The last
// one is the first: its activations are still there.
func (s *Stepper) backward(ctx context.Context, views Views, z, dz []float32) ([][]float32, error) {
	rows := []int{2 * s.c.MicroBatch, s.c.Model.Dimension}
	s.grads.forget()
	for i := range s.parts {
		at := (s.parts - 1 + i) % s.parts
		if i > 0 {
			again, _, err := s.pass(ctx, views, at)
			if err != nil {
				return nil, err
			}
			if !slices.Equal(again, part(z, at, s.parts)) {
				return nil, fmt.Errorf("the second forward pass of micro-batch %d gave another z than the first: its gradient would be wrong", at)
			}
		}
		grads, err := s.network.Run(model.Backward, engine.Tensor{Shape: rows, Data: part(dz, at, s.parts)})
		if err != nil {
			return nil, err
		}
		if s.parts == 1 {
			return buffers(grads), nil
		}
		s.grads.add(grads)
	}
	return s.grads, nil
}

func buffers(ts []engine.Tensor) [][]float32 {
	b := make([][]float32, len(ts))
	for i, t := range ts {
		b[i] = t.Data
	}
	return b
}

// distinct leaves out a buffer that is another one's memory, which would be summed over the workers twice: the last batch norm of a
// block and that of its shortcut have one gradient of β, the sum over the same dy, which the graph has once.
func distinct(buffers [][]float32) [][]float32 {
	seen := map[*float32]bool{}
	return slices.DeleteFunc(buffers, func(b []float32) bool {
		again := seen[&b[0]] // no parameter has no values
		seen[&b[0]] = true
		return again
	})
}

// sums of a step, in a fixed order. Their memory is kept from step to step.
type sums [][]float32

func (s sums) forget() {
	for _, sum := range s {
		clear(sum)
	}
}

func (s *sums) add(values []engine.Tensor) {
	if *s == nil && len(values) > 0 {
		*s = make(sums, len(values))
		for i, v := range values {
			(*s)[i] = make([]float32, len(v.Data))
		}
	}
	for i, v := range values {
		sum := (*s)[i]
		for k, x := range v.Data {
			sum[k] += x
		}
	}
}
