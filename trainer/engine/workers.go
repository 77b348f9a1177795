package engine

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// Workers compute the same program at the same time, each on its part of a batch. Its operators over workers
// (trainer/op) exchange values through it while a segment runs.
type Workers interface {
	// Size is how many there are.
	Size() int
	// Gather gives every worker's values, by rank, as many and the same bits on all of them. It waits for the others, and is
	// an error on all where it is one on any. Every worker gathers as often, in the same order.
	Gather(local []float64) ([][]float64, error)
}

// CheckWorkers is an error where an operator is over other workers than a program has.
func CheckWorkers(p Program, o op.Operator) error {
	have, want := 1, op.OverWorkers(o)
	if p.Workers != nil {
		have = p.Workers.Size()
	}
	if want > 1 && want != have {
		return fmt.Errorf("%T is over %d workers, the program has %d", o, want, have)
	}
	return nil
}

// SumOverWorkers replaces values by their sums over the workers, added in the order of ranks: the same bits on each. It is one
// exchange, where a reduction that shares the additions out would be two, and what is summed here is little: two values
// for each channel of a batch norm.
func SumOverWorkers(w Workers, values []float64) error {
	all, err := w.Gather(values)
	if err != nil {
		return err
	}
	sums := make([]float64, len(values))
	for rank, theirs := range all {
		if len(theirs) != len(values) {
			return fmt.Errorf("worker %d sums %d values, not %d", rank, len(theirs), len(values))
		}
		for i, v := range theirs {
			sums[i] += v
		}
	}
	copy(values, sums)
	return nil
}
