package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNetworks(t *testing.T) {
	for name, tc := range map[string]struct {
		batches string
		images  []int // nil: an error
	}{
		"two":             {"128,64", []int{128, 64}},
		"an odd one":      {"128,7", nil},
		"too few to part": {"2", nil},
		"no number":       {"many", nil},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := networks(tc.batches)
			var images []int
			for _, n := range all {
				images = append(images, n.images)
			}
			if (err == nil) != (tc.images != nil) || err == nil && !slices.Equal(images, tc.images) {
				t.Errorf("%v, %v", images, err)
			}
		})
	}
}

// What is compared with what: images/s and milliseconds are medians.
func TestRows(t *testing.T) {
	var crews [ways]*crew
	for way := range crews {
		rate := float64(10 * (way + 1)) // one 10, global 20, after 30, own 40, peer 50
		crews[way] = &crew{rates: []float64{rate, 1000, 1}, gather: []float64{0.001}, norm: []float64{0.002}, waits: []float64{rate / 1000}}
	}
	got := map[string][2]float64{}
	for _, r := range rows(network{name: "net"}, crews) {
		what, ok := strings.CutPrefix(r.Case, "net: ")
		if !ok {
			t.Errorf("case %q", r.Case)
		}
		got[what] = [2]float64{r.Ours, *r.Peer}
	}
	want := map[string][2]float64{
		"2 workers of a core each beside 1 with both, batch norm Global":                               {20, 10},
		"2 workers of a core each beside 1 with both, batch norm Worker":                               {40, 10},
		"2 workers beside PyTorch DistributedDataParallel over gloo, batch norm Worker":                {40, 50},
		"2 workers, gradients summed beside the backward pass, or after it":                            {20, 30},
		"2 workers, batch norm Global beside Worker":                                                   {20, 40},
		"a step waits for the sums of gradients, beside where they are summed after the backward pass": {20, 30},
		"a step exchanges batch norm's statistics and sums, Global beside Worker":                      {2, 2},
		"a step gathers z, beside batch norm Worker":                                                   {1, 1},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
