package main

import (
	"math"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

func TestCompare(t *testing.T) {
	of := func(values ...float64) []runs.Result {
		var r []runs.Result
		for _, v := range values {
			r = append(r, runs.Result{KNN: v, Linear: v})
		}
		return r
	}
	for name, tc := range map[string]struct {
		ours, peers   []runs.Result
		standardError float64
		target        float64
		holds         bool
	}{
		"half a point less":             {of(39.5, 39.5, 39.5), of(40, 40, 40), 0, 39.5, true},
		"more than half a point less":   {of(39.4, 39.4, 39.4), of(40, 40, 40), 0, 39.5, false},
		"better":                        {of(50, 50), of(40, 40), 0, 39.5, true},
		"two errors of one program":     {of(38.9, 38.9, 38.9), of(39, 40, 41), 1 / math.Sqrt(3), 40 - 2/math.Sqrt(3), true},
		"more than two errors, of both": {of(37.3, 38.3, 39.3), of(39, 40, 41), math.Sqrt(2. / 3), 40 - 2*math.Sqrt(2./3), false},
	} {
		t.Run(name, func(t *testing.T) {
			rows := compare("FP32", tc.ours, tc.peers)
			if len(rows) != 2 {
				t.Fatalf("%d rows", len(rows))
			}
			for _, r := range rows {
				if math.Abs(r.StandardError-tc.standardError) > 1e-9 || math.Abs(*r.Target-tc.target) > 1e-9 || r.Holds != tc.holds {
					t.Errorf("%s: standard error %v, target %v, holds %v", r.Case, r.StandardError, *r.Target, r.Holds)
				}
			}
			var text strings.Builder
			if err := judge(&text, rows); (err == nil) != tc.holds {
				t.Errorf("judged: %v", err)
			}
		})
	}
}
