package pretrain

import (
	"context"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// bucketSize is how many values are summed over the workers at once, or more: fewer cost more messages, and the last ones are waited for.
const bucketSize = 1 << 20

// early sums gradients over the workers while the backward pass makes the others, the last layer's first. Sums do not change
// with what is summed together (trainer/collective).
type early struct {
	over  collective.Collective
	queue chan [][]float32
	done  chan error
	seen  map[*float32]bool
	next  [][]float32
	size  int // of next
	full  int // size that is summed
}

// beginEarly where a step's gradients can be summed early: of one micro-batch, by workers that have another lane for it.
func (s *Stepper) beginEarly(ctx context.Context) {
	c, ok := s.workers.(collective.Concurrent)
	if s.early = nil; !ok || s.parts > 1 || s.workers.Size() == 1 {
		return
	}
	e := &early{over: c.Beside(), queue: make(chan [][]float32, len(s.program.Parameters)+1), done: make(chan error, 1), seen: map[*float32]bool{}, full: s.c.bucket}
	if e.full == 0 {
		e.full = bucketSize
	}
	s.early = e
	go func() {
		var err error
		for buffers := range e.queue {
			if err == nil {
				err = e.over.AllReduceSum(ctx, buffers...)
			}
		}
		e.done <- err
	}()
}

// tell is engine.Program.Early.
func (s *Stepper) tell(segment, _ int, value engine.Tensor) {
	if segment == model.Backward && s.early != nil {
		s.early.add(value.Data)
	}
}

// add a buffer whose values are final, unless it was added before.
func (e *early) add(buffer []float32) {
	if e.seen[&buffer[0]] { // no parameter has no values
		return
	}
	e.seen[&buffer[0]] = true
	if e.next, e.size = append(e.next, buffer), e.size+len(buffer); e.size >= e.full {
		e.flush()
	}
}

func (e *early) flush() {
	e.queue <- e.next
	e.next, e.size = nil, 0
}

// end sums what has not been, and waits for all.
func (e *early) end(rest [][]float32) error {
	for _, b := range rest {
		e.add(b)
	}
	if e.size > 0 {
		e.flush()
	}
	return e.abandon()
}

// abandon what has not been added: the other workers make the same sums of what has.
func (e *early) abandon() error {
	close(e.queue)
	return <-e.done
}
