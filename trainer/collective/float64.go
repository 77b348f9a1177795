package collective

import (
	"context"
	"math"
)

// Within is a Collective as executors of graphs reach it (engine.Workers): what a graph exchanges while it runs ends with a
// context that the executor is not given.
type Within struct {
	Collective
	Context context.Context
}

// Gather is AllGather of float64, the same bits on every worker.
func (w *Within) Gather(local []float64) ([][]float64, error) {
	return gather64(w.Context, w.Collective, local)
}

// gather64 is AllGather of float64: the halves of their bits travel as float32, on which AllGather does not calculate.
func gather64(ctx context.Context, c Collective, local []float64) ([][]float64, error) {
	halves := make([]float32, 0, 2*len(local))
	for _, v := range local {
		b := math.Float64bits(v)
		halves = append(halves, math.Float32frombits(uint32(b>>32)), math.Float32frombits(uint32(b)))
	}
	gathered, err := c.AllGather(ctx, halves)
	if err != nil {
		return nil, err
	}
	all := make([][]float64, len(gathered))
	for rank, theirs := range gathered {
		all[rank] = make([]float64, len(theirs)/2)
		for i := range all[rank] {
			all[rank][i] = math.Float64frombits(uint64(math.Float32bits(theirs[2*i]))<<32 | uint64(math.Float32bits(theirs[2*i+1])))
		}
	}
	return all, nil
}
