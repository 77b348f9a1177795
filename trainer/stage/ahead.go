package stage

import (
	"context"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
)

// ahead copies a step's views to an accelerator while the step before is computed there.
type ahead struct {
	*batches
	place func(*dataset.Batch) (engine.Tensor, error)
	next  chan placed // nil before the first step
}

type placed struct {
	batch *dataset.Batch
	views engine.Tensor
	err   error
}

// views of the batch at a position; the next one's are under way when it returns.
func (a *ahead) views(ctx context.Context, at loop.Position) (engine.Tensor, error) {
	begun := time.Now()
	if a.next == nil {
		a.next = make(chan placed, 1)
		go a.prepare(ctx, at)
	}
	p := <-a.next // ends with the context, as the batches do
	a.waited(time.Since(begun))
	go a.prepare(ctx, at)
	if p.err != nil {
		return engine.Tensor{}, p.err
	}
	return p.views, follows(p.batch, at, 0)
}

// prepare the batch that comes next; the position is the first one's.
func (a *ahead) prepare(ctx context.Context, at loop.Position) {
	var p placed
	if p.batch, p.err = a.fetch(ctx, at); p.err == nil {
		p.views, p.err = a.place(p.batch)
		p.batch.Release()
	}
	a.next <- p
}

// close waits for what is under way, after the batches' end, and frees it.
func (a *ahead) close() {
	if a.next == nil {
		return
	}
	if p := <-a.next; p.views.Remote != nil {
		_ = p.views.Remote.Close() // the devices are given back next
	}
}
