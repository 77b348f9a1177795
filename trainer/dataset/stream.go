package dataset

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// Stream is batches in order, made ahead by a bounded number of goroutines.
type Stream struct {
	ready  chan *pending
	cancel context.CancelFunc
	ctx    context.Context
	wg     sync.WaitGroup
}

// pending is a batch of which some images may still be in the making.
type pending struct {
	batch *Batch
	left  atomic.Int64
	done  chan struct{}
	once  sync.Once
	err   error // read after done
}

// job is a part of a batch.
type job struct {
	*pending
	from, to int
}

// chunk of images that a worker takes at once: small, so that a batch is finished by all workers.
const chunk = 16

// Start gives batches from batch index batch of an epoch (both from 0) on, exactly as a stream that was
// started earlier would go on. Close it in any case.
func (l *Loader) Start(ctx context.Context, epoch, batch int) *Stream {
	s := &Stream{ready: make(chan *pending, l.c.Prefetch)}
	s.ctx, s.cancel = context.WithCancel(ctx)
	jobs := make(chan job)
	s.wg.Go(func() {
		defer close(s.ready)
		defer close(jobs)
		l.dispatch(s, jobs, epoch, batch)
	})
	for range l.c.Workers {
		s.wg.Go(func() { l.work(s.ctx, jobs) })
	}
	return s
}

// dispatch hands out one batch, or part of one, after the other.
func (l *Loader) dispatch(s *Stream, jobs chan<- job, epoch, batch int) {
	parts := l.sequence()
	for ; l.c.Epochs == 0 || epoch < l.c.Epochs; epoch, batch = epoch+1, 0 {
		order := l.order(epoch)
		for ; batch < l.Batches(); batch++ {
			global := l.global(order, batch)
			for _, part := range parts {
				if !s.hand(l.newBatch(epoch, batch, part, global), jobs) {
					return
				}
			}
		}
	}
}

// hand out the images of a batch to the workers; false where the stream has ended. ready bounds how far
// ahead.
func (s *Stream) hand(b *Batch, jobs chan<- job) bool {
	p := &pending{batch: b, done: make(chan struct{})}
	p.left.Store(int64(len(b.Images)))
	select {
	case s.ready <- p:
	case <-s.ctx.Done():
		return false
	}
	for from := 0; from < len(b.Images); from += chunk {
		select {
		case jobs <- job{p, from, min(from+chunk, len(b.Images))}:
		case <-s.ctx.Done():
			return false
		}
	}
	return true
}

// work until there are no more jobs.
func (l *Loader) work(ctx context.Context, jobs <-chan job) {
	transform := l.c.NewTransform()
	var pixels []uint8
	for j := range jobs {
		if ctx.Err() != nil {
			return
		}
		err := l.fill(j, transform, &pixels)
		if err != nil {
			j.finish(err)
		} else if j.left.Add(int64(j.from-j.to)) == 0 {
			j.finish(nil)
		}
	}
}

// finish ends the batch; the first call counts.
func (p *pending) finish(err error) {
	p.once.Do(func() {
		p.err = err
		close(p.done)
	})
}

// fill a job's part of a batch. pixels is memory for a large image.
func (l *Loader) fill(j job, transform Transform, pixels *[]uint8) error {
	b := j.batch
	both := make([]int, l.c.Views)
	for v := range both {
		both[v] = v
	}
	for i := j.from; i < j.to; i++ {
		var err error
		if b.of != nil {
			err = l.draw(b, i, b.Images[i], transform, pixels, b.of[i])
		} else if b.Seconds == nil {
			err = l.draw(b, i, b.Images[i], transform, pixels, both...)
		} else if err = l.draw(b, i, b.Images[i], transform, pixels, 0); err == nil {
			err = l.draw(b, i, b.Seconds[i], transform, pixels, 1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// draw views of an image into a batch, at number i of each.
func (l *Loader) draw(b *Batch, i, image int, transform Transform, pixels *[]uint8, views ...int) error {
	img, err := l.c.Data.Image(image)
	if err == nil && img.Encoded != nil {
		img, err = img.Decoded(needs(transform, img, b.Epoch, image, views...), pixels)
	}
	if err != nil {
		return err
	}
	for _, v := range views {
		at := v*len(b.Images) + i
		if b.of != nil {
			at = i
		}
		if l.c.Edge > 0 {
			transform.(Preparer).Prepare(row(b.Sources, at, 3*l.c.Edge*l.c.Edge), row(b.Parameters, at, l.c.Parameters), img, b.Epoch, image, v)
		} else {
			transform.Apply(row(b.Pixels, at, 3*l.c.Size*l.c.Size), img, b.Epoch, image, v)
		}
	}
	return nil
}

// row of values, size a row.
func row[T any](values []T, at, size int) []T { return values[at*size : (at+1)*size] }

// Next batch; io.EOF after the last, the context's cause when it ends.
func (s *Stream) Next() (*Batch, error) {
	if s.ctx.Err() != nil {
		return nil, context.Cause(s.ctx)
	}
	select {
	case p, ok := <-s.ready:
		if !ok {
			return nil, s.end()
		}
		select {
		case <-p.done:
			if p.err != nil {
				return nil, p.err
			}
			return p.batch, nil
		case <-s.ctx.Done():
		}
	case <-s.ctx.Done():
	}
	return nil, context.Cause(s.ctx)
}

// end is why there are no more batches.
func (s *Stream) end() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return io.EOF
}

// Close stops all goroutines and waits for them.
func (s *Stream) Close() {
	s.cancel()
	s.wg.Wait()
}
