package optest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFar(t *testing.T) {
	nan := math.NaN()
	for name, tc := range map[string]struct {
		got, want []float64
		far       float64
	}{
		"the same":             {[]float64{1, -4}, []float64{1, -4}, 0},
		"of the largest value": {[]float64{2, -4}, []float64{1, -4}, 0.25},
		"the worst":            {[]float64{1, -3, 1}, []float64{1, -4, 3}, 0.5},
		"a number is wanted":   {[]float64{nan, 1}, []float64{1, 1}, math.Inf(1)},
		"no number is wanted":  {[]float64{1, 1}, []float64{nan, 1}, math.Inf(1)},
	} {
		if far := Far(tc.got, tc.want); far != tc.far {
			t.Errorf("%s: %v, want %v", name, far, tc.far)
		}
	}
	if far := Far([]float64{nan}, []float64{nan}); far <= math.MaxFloat64 {
		t.Errorf("of two that are no numbers: %v, which is within a bound", far)
	}
}

func TestCosine(t *testing.T) {
	for name, tc := range map[string]struct {
		b    []float64
		want float64
	}{"along": {[]float64{6, 8}, 1}, "across": {[]float64{-4, 3}, 0}, "against": {[]float64{-3, -4}, -1}} {
		if got := Cosine([]float64{3, 4}, tc.b); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestDraw(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	if v := Normal(2, 3, 4).Draw(r); len(v) != 24 || slices.Min(v) > -0.5 || slices.Max(v) < 0.5 {
		t.Errorf("normal values %v", v)
	}
	if v := Statistics(20).Draw(r); len(v) != 40 || slices.Min(v[:20]) > -0.5 || slices.Min(v[20:]) < 0.5 {
		t.Errorf("means and variances %v", v)
	}
	v := Labels(20).Draw(r)
	slices.Sort(v)
	if d := slices.Compact(v); !slices.Equal(d, []float64{0, 1, 2}) {
		t.Errorf("labels %v", d)
	}
}
