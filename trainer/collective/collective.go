// Package collective is what the workers of a run do together: gather, sum, wait.
package collective

import "context"

// Collective connects the workers of one attempt. Every worker makes the same calls in the same order;
// an error on one ends the call on all.
type Collective interface {
	// Rank of this worker, from 0.
	Rank() int
	// Size is the number of workers.
	Size() int
	// AllGather gives every worker's values, by rank, with every bit as it was. The own ones are local itself, not a copy.
	AllGather(ctx context.Context, local []float32) ([][]float32, error)
	// AllReduceSum replaces the values of each buffer by their sums over the workers, never by means, added
	// in the order of ranks: the sums are the same bits on every worker and from run to run. No two buffers
	// share memory, which would be summed twice.
	AllReduceSum(ctx context.Context, buffers ...[]float32) error
	// Broadcast gives every worker rank 0's data; what the others give is not looked at.
	Broadcast(ctx context.Context, data []byte) ([]byte, error)
	// Barrier waits until every worker is there.
	Barrier(ctx context.Context) error
}

// Concurrent is a Collective of which there is another beside it: calls of the one do not wait for those of the other. Calls
// of each are still made in the same order by every worker.
type Concurrent interface {
	Collective
	Beside() Collective
}

// Single is the collective of one worker: nothing is sent and nothing is copied.
type Single struct{}

// Rank is 0.
func (Single) Rank() int { return 0 }

// Size is 1.
func (Single) Size() int { return 1 }

// AllGather gives local itself.
func (Single) AllGather(ctx context.Context, local []float32) ([][]float32, error) {
	return [][]float32{local}, context.Cause(ctx)
}

// AllReduceSum leaves the buffers as they are: they are the sums.
func (Single) AllReduceSum(ctx context.Context, _ ...[]float32) error { return context.Cause(ctx) }

// Broadcast gives data itself.
func (Single) Broadcast(ctx context.Context, data []byte) ([]byte, error) {
	return data, context.Cause(ctx)
}

// Barrier does not wait.
func (Single) Barrier(ctx context.Context) error { return context.Cause(ctx) }
