package collective

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSingle(t *testing.T) {
	var c Collective = Single{}
	ctx, cancel := context.WithCancel(t.Context())
	x := []float32{1, 2}
	all, err := c.AllGather(ctx, x)
	if err != nil || len(all) != 1 || &all[0][0] != &x[0] {
		t.Errorf("AllGather gave %v, %v: want x itself", all, err)
	}
	if err := c.AllReduceSum(ctx, x); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]float32{1, 2}, x); d != "" {
		t.Error(d)
	}
	if c.Rank() != 0 || c.Size() != 1 || c.Barrier(ctx) != nil {
		t.Error("a single worker is rank 0 of 1 and never waits")
	}
	cancel()
	if c.Barrier(ctx) == nil || c.AllReduceSum(ctx, x) == nil {
		t.Error("a cancelled context is not told")
	}
}
