package contrastive

import (
	"math"
	"math/rand/v2"
	"testing"
)

// basis is each of the d axes once, in both directions, n times as long.
func basis(d int, n float32) []float32 {
	z := make([]float32, 2*d*d)
	for i := range 2 * d {
		z[i*d+i%d] = n * float32(1-2*(i/d))
	}
	return z
}

// directions drawn evenly from the unit sphere of the first k of d dimensions, of any length.
func directions(rows, d, k int) []float32 {
	r := rand.New(rand.NewPCG(9, 10))
	z := make([]float32, rows*d)
	for i := range rows {
		for j := range k {
			z[i*d+j] = float32((1 + float64(i%7)) * r.NormFloat64())
		}
	}
	return z
}

func TestSpreadOfKnownValues(t *testing.T) {
	one := make([]float32, 64*16)
	for i := range one {
		one[i] = float32(i%16 + 1)
	}
	line := directions(8, 4, 1)
	for name, tc := range map[string]struct {
		z                []float32
		rows             int
		deviation, rank  float64
		within           float64 // of the wanted
		collapsed        bool
		dimension, looks int
	}{
		// the covariance is the identity divided by D: every dimension has the deviation 1/√D, the rank is D
		"all directions":                   {basis(16, 1), 32, 0.25, 16, 1e-9, false, 16, 32},
		"all directions, of other lengths": {basis(16, 3), 32, 0.25, 16, 1e-9, false, 16, 32},
		// wide and short: uuᵀ is the smaller matrix
		"fewer rows than dimensions": {basis(16, 1)[:8*16], 8, 8. / 16 * math.Sqrt(7./64), 8, 1e-9, false, 16, 8},
		"one direction":              {one, 64, 0, 1, 1e-4, true, 16, 64},
		// ±v: no deviation is lost, but there is one direction
		"one line": {line, 8, 0.25 * meanDeviationOfSigns(line, 4), 1, 1e-9, true, 4, 8},
		"nothing":  {make([]float32, 64), 8, 0, 1, 1e-9, true, 8, 8},
		// in two dimensions two directions are all there are
		"a plane":          {directions(512, 2, 2), 512, 1 / math.Sqrt(2), 2, 0.02, false, 2, 512},
		"the whole sphere": {directions(4096, 32, 32), 4096, 1 / math.Sqrt(32), 32, 0.02, false, 32, 512},
		"half of it":       {directions(4096, 32, 16), 4096, 0.5 / math.Sqrt(16), 16, 0.02, false, 32, 512},
	} {
		t.Run(name, func(t *testing.T) {
			s := SpreadOf(tc.z, tc.rows)
			if math.Abs(s.StandardDeviation-tc.deviation) > tc.within*max(tc.deviation, 1e-3) || math.Abs(s.EffectiveRank-tc.rank) > tc.within*tc.rank || s.Dimension != tc.dimension || s.Rows != tc.looks {
				t.Errorf("%+v, want deviation %.4f and rank %.2f", s, tc.deviation, tc.rank)
			}
			if why := s.Collapse(); (why != "") != tc.collapsed {
				t.Errorf("collapse %q", why)
			}
		})
	}
}

// meanDeviationOfSigns is the deviation of signs in the first dimension.
func meanDeviationOfSigns(z []float32, d int) float64 {
	mean := 0.
	for i := 0; i < len(z); i += d {
		mean += math.Copysign(1, float64(z[i])) / float64(len(z)/d)
	}
	return math.Sqrt(1 - mean*mean)
}

// The effective rank is that of the singular values: of rows with these known ones.
func TestEffectiveRankOfKnownSingularValues(t *testing.T) {
	// rows of length 1 along axes, 9 of the first, 4 of the second, 1 of the third: singular values 3, 2, 1
	z := make([]float32, 14*5)
	for i := range 14 {
		axis := 0
		if i >= 9 {
			axis = 1
		}
		if i >= 13 {
			axis = 2
		}
		z[i*5+axis] = 2
	}
	want := math.Exp(-(0.5*math.Log(0.5) + 1./3*math.Log(1./3) + 1./6*math.Log(1./6)))
	if got := SpreadOf(z, 14).EffectiveRank; math.Abs(got-want) > 1e-6 {
		t.Errorf("rank %v, want %v", got, want)
	}
}

func TestSpreadOfNoNumbers(t *testing.T) {
	z := basis(4, 1)
	z[3] = float32(math.NaN())
	if s := SpreadOf(z, 8); s.EffectiveRank != 0 {
		t.Errorf("%+v", s)
	}
}

func BenchmarkSpread(b *testing.B) {
	z := directions(512, 128, 128)
	for b.Loop() {
		SpreadOf(z, 512)
	}
}
