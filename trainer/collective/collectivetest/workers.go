// Package collectivetest has several workers in one process, for tests.
package collectivetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
)

// LostError is what a worker's collective gives when another has left.
type LostError struct{ Rank int }

// Error names the rank.
func (e *LostError) Error() string { return fmt.Sprintf("worker %d has left", e.Rank) }

// Run runs f on every worker, each on a goroutine of its own, and fails where one fails.
func Run(t testing.TB, size int, f func(w collective.Collective) error) {
	t.Helper()
	for rank, err := range Each(size, f) {
		if err != nil {
			t.Fatalf("worker %d: %v", rank, err)
		}
	}
}

// Each is Run that gives every worker's error. A worker whose f has returned has left: no other waits for it.
func Each(size int, f func(w collective.Collective) error) []error {
	m := &meeting{size: size, next: newRound(size), broken: make(chan struct{})}
	errs := make([]error, size)
	var wg sync.WaitGroup
	for rank := range size {
		wg.Go(func() {
			errs[rank] = f(worker{m, rank})
			m.end(&LostError{rank})
		})
	}
	wg.Wait()
	return errs
}

// meeting is where workers exchange values.
type meeting struct {
	size   int
	mu     sync.Mutex
	next   *round
	once   sync.Once
	err    error
	broken chan struct{} // closed once err is set
}

// round is one exchange.
type round struct {
	given [][][]float32 // by rank
	here  int
	all   chan struct{} // closed when everybody is here
}

func newRound(size int) *round {
	return &round{given: make([][][]float32, size), all: make(chan struct{})}
}

func (m *meeting) end(err error) {
	m.once.Do(func() {
		m.err = err
		close(m.broken)
	})
}

// exchange gives copies of what every rank gave.
func (m *meeting) exchange(ctx context.Context, rank int, values [][]float32) ([][][]float32, error) {
	if err := ctx.Err(); err != nil {
		m.end(err)
		return nil, err
	}
	copies := make([][]float32, len(values))
	for i, v := range values {
		copies[i] = slices.Clone(v)
	}
	m.mu.Lock()
	r := m.next
	r.given[rank] = copies
	if r.here++; r.here == m.size {
		m.next = newRound(m.size)
		close(r.all)
	}
	m.mu.Unlock()
	select {
	case <-r.all:
	case <-m.broken:
	case <-ctx.Done():
		m.end(ctx.Err())
	}
	select {
	case <-r.all: // whatever came after it
		return r.given, nil
	default:
		return nil, m.err
	}
}

// worker is one of several.
type worker struct {
	m    *meeting
	rank int
}

var _ collective.Collective = worker{}

func (w worker) Rank() int { return w.rank }
func (w worker) Size() int { return w.m.size }

func (w worker) AllGather(ctx context.Context, local []float32) ([][]float32, error) {
	all, err := w.m.exchange(ctx, w.rank, [][]float32{local})
	if err != nil {
		return nil, err
	}
	parts := make([][]float32, w.m.size)
	for rank, given := range all {
		parts[rank] = given[0]
	}
	parts[w.rank] = local
	return parts, nil
}

func (w worker) AllReduceSum(ctx context.Context, buffers ...[]float32) error {
	seen := map[*float32]bool{}
	for i, b := range buffers {
		if len(b) == 0 {
			continue
		}
		if seen[&b[0]] {
			return fmt.Errorf("buffer %d is another one's memory, which would be summed twice", i)
		}
		seen[&b[0]] = true
	}
	all, err := w.m.exchange(ctx, w.rank, buffers)
	if err != nil {
		return err
	}
	for i, b := range buffers {
		clear(b)
		for _, given := range all {
			for k, v := range given[i] {
				b[k] += v
			}
		}
	}
	return nil
}

func (w worker) Broadcast(ctx context.Context, data []byte) ([]byte, error) {
	values := make([]float32, len(data)) // of a byte each
	for i, b := range data {
		values[i] = float32(b)
	}
	all, err := w.m.exchange(ctx, w.rank, [][]float32{values})
	if err != nil {
		return nil, err
	}
	got := make([]byte, len(all[0][0]))
	for i, v := range all[0][0] {
		got[i] = byte(v)
	}
	return got, nil
}

func (w worker) Barrier(ctx context.Context) error {
	_, err := w.m.exchange(ctx, w.rank, nil)
	return err
}
