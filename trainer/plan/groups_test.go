package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Every second view is in one group, and each group has as many of one group's images as of another's.
func TestSecondViewsAreDealtOut(t *testing.T) {
	for name, tc := range map[string]struct{ images, groups, least, most int }{
		"one group":               {8, 1, 8, 8},
		"two groups":              {8, 2, 2, 2},
		"as many as images":       {8, 8, 0, 1},
		"larger than their count": {64, 4, 4, 4},
		"smaller than it":         {64, 16, 0, 1},
		"no multiple of it":       {60, 4, 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			size := tc.images / tc.groups
			seen := make([]int, tc.images)
			for group := range tc.groups {
				of := make([]int, tc.groups)
				for at := range size {
					image := SecondView(group, at, tc.groups)
					seen[image]++
					of[image/size]++
				}
				for first, n := range of {
					if n < tc.least || n > tc.most {
						t.Errorf("group %d has %d second views of group %d's images, want %d to %d", group, n, first, tc.least, tc.most)
					}
				}
			}
			want := make([]int, tc.images)
			for i := range want {
				want[i] = 1
			}
			if d := cmp.Diff(want, seen); d != "" {
				t.Errorf("how often each second view is there (-want +got):\n%s", d)
			}
		})
	}
}

func TestGroupsOfBatchNorm(t *testing.T) {
	for name, tc := range map[string]struct {
		of                    v1alpha1.BatchNormStatistics
		workers, micro, count int
	}{
		"all of one worker":              {v1alpha1.BatchNormGlobal, 1, 1, 1},
		"all of four":                    {v1alpha1.BatchNormGlobal, 4, 1, 1},
		"each of four":                   {v1alpha1.BatchNormWorker, 4, 1, 4},
		"each worker, of one":            {v1alpha1.BatchNormWorker, 1, 1, 1},
		"micro-batches of two":           {v1alpha1.BatchNormMicroBatch, 2, 3, 6},
		"micro-batches as large as that": {v1alpha1.BatchNormMicroBatch, 2, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if n := Groups(tc.of, tc.workers, tc.micro); n != tc.count {
				t.Errorf("%d groups, want %d", n, tc.count)
			}
		})
	}
}
