package engine_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// gathered are workers of which the others have these values.
type gathered struct {
	others [][]float64
	err    error
}

func (g gathered) Size() int { return 1 + len(g.others) }

func (g gathered) Gather(local []float64) ([][]float64, error) {
	return append([][]float64{append([]float64{}, local...)}, g.others...), g.err
}

func TestSumOverWorkers(t *testing.T) {
	// in the order of ranks: 1e20 + 1 − 1e20 is 0, 1e20 − 1e20 + 1 is 1
	values := []float64{1e20, 1e20}
	if err := engine.SumOverWorkers(gathered{others: [][]float64{{1, -1e20}, {-1e20, 1}}}, values); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]float64{0, 1}, values); d != "" {
		t.Error(d)
	}
	lost := errors.New("lost")
	for name, tc := range map[string]struct {
		w    gathered
		want string
	}{
		"a worker that is lost":      {gathered{err: lost}, "lost"},
		"a worker with other values": {gathered{others: [][]float64{{1}}}, "worker 1 sums 1 values, not 2"},
	} {
		if err := engine.SumOverWorkers(tc.w, values); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want one that says %q", name, err, tc.want)
		}
	}
}

func TestCheckWorkers(t *testing.T) {
	two := gathered{others: [][]float64{{}}}
	for name, tc := range map[string]struct {
		o    op.Operator
		w    engine.Workers
		want string
	}{
		"an operator of one worker":    {op.BatchStatistics{}, nil, ""},
		"one of one, among two":        {op.ReLU{}, two, ""},
		"two of two":                   {op.BatchStatistics{Workers: 2}, two, ""},
		"two, alone":                   {op.SumOverWorkers{Workers: 2}, nil, "op.SumOverWorkers is over 2 workers, the program has 1"},
		"more than there are":          {op.BatchStatistics{Workers: 3}, two, "op.BatchStatistics is over 3 workers, the program has 2"},
		"a sum that is over one alone": {op.SumOverWorkers{}, two, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := engine.CheckWorkers(engine.Program{Workers: tc.w}, tc.o)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
