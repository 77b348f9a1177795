package report

import (
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	for name, c := range map[string]struct {
		values []float64
		want   float64
	}{
		"one":  {[]float64{3}, 3},
		"two":  {[]float64{4, 1}, 2.5},
		"odd":  {[]float64{9, 1, 5}, 5},
		"even": {[]float64{8, 2, 4, 100}, 6},
	} {
		if got := Median(c.values); got != c.want {
			t.Errorf("%s: wanted %v, got %v", name, c.want, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0.5: "0.500", 1.8125: "1.812", 40.1: "40.10", 285.25: "285.2", 2816.4: "2816", 1e6: "1000000"} {
		if got := number(&v); got != want {
			t.Errorf("%v: wanted %s, got %s", v, want, got)
		}
	}
	if got := number(nil); got != "–" {
		t.Errorf("none: wanted –, got %s", got)
	}
}

func TestModelName(t *testing.T) {
	const info = "processor\t: 0\nmodel\t\t: 143\nmodel name\t: Some CPU @ 2.00GHz\n"
	if got := modelName(info); got != "Some CPU @ 2.00GHz" {
		t.Errorf("got %q", got)
	}
}

func TestMeanAndError(t *testing.T) {
	for name, tc := range map[string]struct {
		x           []float64
		mean, error float64
	}{
		// 1, 2, 3: variance 1 with n − 1, so its error is 1/√3
		"three":        {[]float64{1, 2, 3}, 2, 1 / math.Sqrt(3)},
		"one has none": {[]float64{4}, 4, 0},
	} {
		mean, e := MeanAndError(tc.x)
		if math.Abs(mean-tc.mean) > 1e-12 || math.Abs(e-tc.error) > 1e-12 {
			t.Errorf("%s: %g ± %g, want %g ± %g", name, mean, e, tc.mean, tc.error)
		}
	}
}
