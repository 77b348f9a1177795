package dataset

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

func TestShuffledIsAPermutation(t *testing.T) {
	got := Shuffled(1000, 1, 2)
	if slices.IsSorted(got) {
		t.Error("in order")
	}
	slices.Sort(got)
	for i, v := range got {
		if i != v {
			t.Fatalf("%d is missing", i)
		}
	}
}

// Neighbouring keys have unrelated sources, and the order of keys matters.
func TestHashSeparatesKeys(t *testing.T) {
	seen := map[[2]uint64][]uint64{}
	for a := range uint64(40) {
		for b := range uint64(40) {
			for _, keys := range [][]uint64{{a, b}, {a, b, 0}, {a, b, 1}} {
				x, y := Hash(keys...)
				if other, ok := seen[[2]uint64{x, y}]; ok {
					t.Fatalf("%v and %v have one hash", keys, other)
				}
				seen[[2]uint64{x, y}] = keys
			}
		}
	}
}

// The source's numbers are part of what a checkpoint relies on: they may never change.
func TestOrderIsFixed(t *testing.T) {
	if diff := cmp.Diff([]int{0, 5, 1, 9, 3, 4, 2, 6, 8, 7}, Shuffled(10, 0, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestLabelFraction(t *testing.T) {
	d := numbers{n: 5000, classes: 7}
	all := ClassCounts(d)
	one, oneCounts := LabelFraction(d, 0.01, 3)
	ten, tenCounts := LabelFraction(d, 0.1, 3)
	for name, tc := range map[string]struct {
		fraction float64
		indices  []int
		counts   []int
	}{"1%": {0.01, one, oneCounts}, "10%": {0.1, ten, tenCounts}} {
		t.Run(name, func(t *testing.T) {
			want := make([]int, len(all)) // squares modulo 7 are 0, 1, 2, 4: three classes are empty
			for c, n := range all {
				want[c] = plan.LabelCount(n, tc.fraction)
			}
			if diff := cmp.Diff(want, tc.counts); diff != "" {
				t.Errorf("counts: %s", diff)
			}
			if diff := cmp.Diff(want, ClassCounts(Subset(d, tc.indices))); diff != "" {
				t.Errorf("chosen: %s", diff)
			}
			if !slices.IsSorted(tc.indices) || len(slices.Compact(slices.Clone(tc.indices))) != len(tc.indices) {
				t.Error("not in order, or twice")
			}
		})
	}
	for _, i := range one {
		if !slices.Contains(ten, i) {
			t.Errorf("image %d is in the 1%% and not in the 10%%", i)
		}
	}
	if again, _ := LabelFraction(d, 0.01, 3); !slices.Equal(again, one) {
		t.Error("the same seed chooses others")
	}
	if other, _ := LabelFraction(d, 0.01, 4); slices.Equal(other, one) {
		t.Error("another seed chooses the same")
	}
	if few, counts := LabelFraction(numbers{n: 10, classes: 2}, 0.01, 0); len(few) != 2 || !slices.Equal(counts, []int{1, 1}) {
		t.Errorf("of few images: %v, want one a class", counts)
	}
}
