package stage

import (
	"context"
	"fmt"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
)

// microBatches are a training's batches in parts, each of which a step sees twice, but for the last. They
// are kept until the step's end, or, where that is much memory, made twice.
type microBatches struct {
	*batches
	size  int // of an image, in pixels
	twice bool
	begun func() // called as each part begins
	held  []*dataset.Batch
}

// views are a pretrain.Views of the batch at a position.
func (m *microBatches) views(at loop.Position) func(context.Context, int) (engine.Tensor, error) {
	return func(ctx context.Context, part int) (engine.Tensor, error) {
		m.begun()
		if !m.twice && part < len(m.held) {
			return pixels(m.held[part], m.size), nil
		}
		if m.twice {
			m.release()
		}
		b, err := m.next(ctx, at)
		if err != nil {
			return engine.Tensor{}, err
		}
		m.held = append(m.held, b)
		if b.Epoch != int(at.Epoch) || b.Index != int(at.Batch) || b.Part != part {
			return engine.Tensor{}, fmt.Errorf("the loader gave part %d of batch %d of epoch %d; part %d of %d of %d is next", b.Part, b.Index, b.Epoch, part, at.Batch, at.Epoch)
		}
		return pixels(b, m.size), nil
	}
}

// release a step's images.
func (m *microBatches) release() {
	for _, b := range m.held {
		b.Release()
	}
	m.held = m.held[:0]
}
