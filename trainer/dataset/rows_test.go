package dataset

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The workers' parts of a batch's rows, one after the other, are the rows of one worker's batch: all first views, then all second, also
// where they are prepared for an accelerator, and where a worker has some of both.
func TestRanksShareTheRowsOfABatch(t *testing.T) {
	const images = 12
	for _, world := range []int{1, 2, 3, 4} {
		for _, edge := range []int{0, 1} {
			t.Run(fmt.Sprint(world, " workers, edge ", edge), func(t *testing.T) {
				of := func(c LoaderConfig) []Batch {
					if c.Edge = edge; edge > 0 {
						c.Parameters = 1
					}
					return read(t, mustLoader(t, c), 1, 1, 9)
				}
				want, got := of(config(100, images)), make([][]Batch, world)
				for rank := range world {
					c := config(100, images/world)
					c.Rows, c.Rank, c.World = true, rank, world
					got[rank] = of(c)
				}
				for i, w := range want {
					var all Batch
					for rank := range world {
						b := got[rank][i]
						if b.Epoch != w.Epoch || b.Index != w.Index || len(b.Images) != 2*images/world {
							t.Fatalf("worker %d has %d rows of batch %d of epoch %d, at batch %d of epoch %d", rank, len(b.Images), b.Index, b.Epoch, w.Index, w.Epoch)
						}
						all.Pixels, all.Sources, all.Parameters = append(all.Pixels, b.Pixels...), append(all.Sources, b.Sources...), append(all.Parameters, b.Parameters...)
						all.Images, all.Labels = append(all.Images, b.Images...), append(all.Labels, b.Labels...)
					}
					w = Batch{
						Pixels: w.Pixels, Sources: w.Sources, Parameters: w.Parameters,
						Images: slices.Concat(w.Images, w.Images), Labels: slices.Concat(w.Labels, w.Labels),
					}
					if diff := cmp.Diff(w, all, batches, cmpopts.EquateEmpty()); diff != "" {
						t.Fatalf("batch %d: %s", i, diff)
					}
				}
			})
		}
	}
	for name, change := range map[string]func(c *LoaderConfig){
		"in parts":   func(c *LoaderConfig) { c.Parts = 3 },
		"dealt":      func(c *LoaderConfig) { c.Dealt = true },
		"sequential": func(c *LoaderConfig) { c.Sequential = true },
	} {
		c := config(100, images)
		c.Rows = true
		change(&c)
		if _, err := NewLoader(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
