package pretrain

import (
	"context"
	"sync"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
)

// meeting is where the workers of one process exchange values.
type meeting struct {
	size  int
	mu    sync.Mutex
	all   *sync.Cond
	here  int
	round int
	given [][][]float32 // by rank
}

func newMeeting(size int) *meeting {
	m := &meeting{size: size, given: make([][][]float32, size)}
	m.all = sync.NewCond(&m.mu)
	return m
}

// exchange gives copies of what every rank gave.
func (m *meeting) exchange(rank int, values [][]float32) [][][]float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range values {
		m.given[rank] = append(m.given[rank], append([]float32{}, v...))
	}
	round := m.round
	if m.here++; m.here == m.size {
		m.here, m.round = 0, m.round+1
		m.all.Broadcast()
	}
	for m.round == round {
		m.all.Wait()
	}
	got := append([][][]float32{}, m.given...)
	if m.here++; m.here == m.size { // the last to read clears the table
		m.here, m.round, m.given = 0, m.round+1, make([][][]float32, m.size)
		m.all.Broadcast()
	}
	for m.round == round+1 {
		m.all.Wait()
	}
	return got
}

// worker is one of several in this process.
type worker struct {
	collective.Single
	*meeting
	rank int
}

func (w worker) Rank() int { return w.rank }
func (w worker) Size() int { return w.size }

func (w worker) AllGather(_ context.Context, local []float32) ([][]float32, error) {
	var parts [][]float32
	for _, given := range w.exchange(w.rank, [][]float32{local}) {
		parts = append(parts, given[0])
	}
	return parts, nil
}

func (w worker) AllReduceSum(_ context.Context, buffers ...[]float32) error {
	all := w.exchange(w.rank, buffers)
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

// together runs f on every worker, and fails where one does.
func together(t *testing.T, size int, f func(w collective.Collective) error) {
	t.Helper()
	m := newMeeting(size)
	errs := make([]error, size)
	var wg sync.WaitGroup
	for rank := range size {
		wg.Go(func() { errs[rank] = f(worker{meeting: m, rank: rank}) })
	}
	wg.Wait()
	for rank, err := range errs {
		if err != nil {
			t.Fatalf("worker %d: %v", rank, err)
		}
	}
}
