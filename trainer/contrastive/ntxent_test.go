package contrastive

import (
	"math"
	"math/rand/v2"
	"testing"
)

func random(rows, dimension int) []float64 {
	r := rand.New(rand.NewPCG(7, 8))
	z := make([]float64, rows*dimension)
	for i := range z {
		z[i] = r.NormFloat64()
	}
	return z
}

// same is rows times one vector.
func same(rows int, v ...float64) []float64 {
	var z []float64
	for range rows {
		z = append(z, v...)
	}
	return z
}

func TestLossOfKnownValues(t *testing.T) {
	e2 := math.Exp(2)
	for name, tc := range map[string]struct {
		z           []float64
		rows        int
		temperature float64
		want        float64
	}{
		// with all similarities equal every other row is as likely: log(2N − 1)
		"all equal":              {same(6, 1, 2, 3), 6, 0.5, math.Log(5)},
		"all equal, other sizes": {[]float64{1, 0, 2, 0, 3, 0, 4, 0}, 4, 0.1, math.Log(3)},
		// the only other row is the positive
		"one pair": {[]float64{1, 2, -3, 1}, 2, 0.5, 0},
		// positives agree (similarity 1), negatives are at right angles (0): log(1 + 2/e^(1/τ))
		"two pairs at right angles": {[]float64{1, 0, 0, 1, 1, 0, 0, 1}, 4, 0.5, math.Log(1 + 2/e2)},
		// positives at right angles, one negative agrees: log(1 + 1 + e^(1/τ))
		"the wrong pairs": {[]float64{1, 0, 1, 0, 0, 1, 0, 1}, 4, 0.5, math.Log(2 + e2)},
		// 1/τ = 1000 would overflow an unshifted exponential
		"tiny temperature": {[]float64{1, 0, 1, 0, 0, 1, 0, 1}, 4, 0.001, 1000},
		"rows of zeros":    {make([]float64, 12), 4, 0.5, math.Log(3)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Loss(tc.z, tc.rows, tc.temperature); !(math.Abs(got-tc.want) < 1e-12) {
				t.Errorf("loss %v, want %v", got, tc.want)
			}
		})
	}
}

// pairwise is paper equation 1, ℓ(i, j) averaged as in algorithm 1, written with no thought of sharing
// anything.
func pairwise(z []float64, rows int, temperature float64) float64 {
	d := len(z) / rows
	sim := func(i, j int) float64 {
		dot, a, b := 0., 0., 0.
		for k := range d {
			dot, a, b = dot+z[i*d+k]*z[j*d+k], a+z[i*d+k]*z[i*d+k], b+z[j*d+k]*z[j*d+k]
		}
		return dot / math.Sqrt(a*b)
	}
	l := func(i, j int) float64 {
		sum := 0.
		for k := range rows {
			if k != i {
				sum += math.Exp(sim(i, k) / temperature)
			}
		}
		return -math.Log(math.Exp(sim(i, j)/temperature) / sum)
	}
	n, total := rows/2, 0.
	for k := range n {
		total += l(k, k+n) + l(k+n, k)
	}
	return total / float64(rows)
}

func TestLossIsEquation1(t *testing.T) {
	for name, temperature := range map[string]float64{"0.1": 0.1, "0.5": 0.5, "1": 1} {
		t.Run(name, func(t *testing.T) {
			z := random(10, 4)
			if got, want := Loss(z, 10, temperature), pairwise(z, 10, temperature); math.Abs(got-want) > 1e-12 {
				t.Errorf("loss %v, want %v", got, want)
			}
		})
	}
}

func TestGradientAgainstCentralDifferences(t *testing.T) {
	for name, tc := range map[string]struct {
		rows, dimension int
		temperature     float64
	}{
		"one pair":        {2, 3, 0.5},
		"three pairs":     {6, 4, 0.5},
		"low temperature": {8, 5, 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			const h = 1e-6
			z := random(tc.rows, tc.dimension)
			for i, g := range Gradient(z, tc.rows, tc.temperature) {
				kept := z[i]
				z[i] = kept + h
				up := pairwise(z, tc.rows, tc.temperature)
				z[i] = kept - h
				down := pairwise(z, tc.rows, tc.temperature)
				z[i] = kept
				if want := (up - down) / (2 * h); math.Abs(g-want) > 1e-7 {
					t.Fatalf("gradient[%d] is %v, want %v", i, g, want)
				}
			}
		})
	}
}

// The loss sees directions alone, so its gradient is at right angles to every row and shrinks as the row
// grows.
func TestLossSeesDirectionsAlone(t *testing.T) {
	const rows, dimension, factor = 8, 5, 3.
	z := random(rows, dimension)
	loss, grad := Loss(z, rows, 0.5), Gradient(z, rows, 0.5)
	for i := range rows {
		if along := dot(z[i*dimension:(i+1)*dimension], grad[i*dimension:(i+1)*dimension]); math.Abs(along) > 1e-12 {
			t.Errorf("row %d: the gradient along z is %v", i, along)
		}
	}
	for k := range dimension {
		z[k] *= factor
	}
	if got := Loss(z, rows, 0.5); math.Abs(got-loss) > 1e-12 {
		t.Errorf("loss %v after a row was scaled, want %v", got, loss)
	}
	for k, g := range Gradient(z, rows, 0.5)[:dimension] {
		if want := grad[k] / factor; math.Abs(g-want) > 1e-12 {
			t.Errorf("gradient[%d] %v after its row was scaled, want %v", k, g, want)
		}
	}
}

func TestAccuracy(t *testing.T) {
	for name, tc := range map[string]struct {
		z    []float64
		rows int
		want float64
	}{
		"all right": {[]float64{1, 0, 0, 1, 2, 0, 0, 3}, 4, 1},
		"all wrong": {[]float64{1, 0, 0, 1, 0, 1, 1, 0}, 4, 0},
		// both first views are nearest to the first second view
		"one of two": {[]float64{1, 0, 1, 0, 1, 0, 0, 1}, 4, 0.5},
		// first views that agree with one another do not count: only first against second views
		"the same side is not looked at": {[]float64{1, 0, 0.9, 0.1, 0.5, -0.1, 0.5, 0.6}, 4, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Accuracy(tc.z, tc.rows); got != tc.want {
				t.Errorf("accuracy %v, want %v", got, tc.want)
			}
		})
	}
}
