package stage

import (
	"context"
	"fmt"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
)

// microBatches are a training's batches in parts, each of which a step sees twice, but for the last. They
// are kept until the step's end, or, where that is much memory, made twice.
type microBatches struct {
	*batches
	config augment.Config
	twice  bool
	begun  func() // called as each part begins
	held   []*dataset.Batch
	ahead  *ahead     // nil: views are read from the host's memory
	made   *xla.Views // nil: by the host
}

// views are a pretrain.Views of the batch at a position.
func (m *microBatches) views(at loop.Position) func(context.Context, int) (engine.Tensor, error) {
	return func(ctx context.Context, part int) (engine.Tensor, error) {
		m.begun()
		if m.ahead != nil {
			return m.ahead.views(ctx, at)
		}
		if !m.twice && part < len(m.held) {
			return m.tensor(m.held[part])
		}
		if m.twice {
			m.release()
		}
		b, err := m.next(ctx, at)
		if err != nil {
			return engine.Tensor{}, err
		}
		m.held = append(m.held, b)
		if err := follows(b, at, part); err != nil {
			return engine.Tensor{}, err
		}
		return m.tensor(b)
	}
}

// follows is an error where a batch is not the next one.
func follows(b *dataset.Batch, at loop.Position, part int) error {
	if b.Epoch != int(at.Epoch) || b.Index != int(at.Batch) || b.Part != part {
		return fmt.Errorf("the loader gave part %d of batch %d of epoch %d; part %d of %d of %d is next", b.Part, b.Index, b.Epoch, part, at.Batch, at.Epoch)
	}
	return nil
}

func (m *microBatches) close() {
	m.batches.close()
	if m.ahead != nil {
		m.ahead.close()
	}
	if m.made != nil {
		_ = m.made.Close() // the devices are given back next
	}
}

// release a step's images.
func (m *microBatches) release() {
	for _, b := range m.held {
		b.Release()
	}
	m.held = m.held[:0]
}
