package contrastive

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Spread is how well the directions of z fill their space. A collapse, where the encoder says the same of
// all images, shows here; the loss may look well.
type Spread struct {
	// StandardDeviation of each dimension of normalised z over the rows, the mean over dimensions: 1/√D where
	// directions are spread evenly, 0 where all rows have one (Chen and He 2021, arXiv 2011.10566, section 4.1).
	StandardDeviation float64
	// EffectiveRank of normalised z: exp of the entropy of its singular values divided by their sum (RankMe,
	// Garrido et al. 2023, arXiv 2210.02885, equation 1): the number of directions in use, from 1 to the
	// dimension or the rows looked at, whichever is less.
	EffectiveRank float64
	Dimension     int // D of z
	Rows          int // looked at
}

// spreadRows are looked at, so that the cost is bounded: a few milliseconds for the paper's z.
const spreadRows = 512

// SpreadOf z with the given rows, or of evenly chosen ones where they are more than 512.
func SpreadOf(z []float32, rows int) Spread {
	s := Spread{Dimension: len(z) / rows, Rows: min(rows, spreadRows)}
	u := make([]float64, s.Rows*s.Dimension)
	for i := range s.Rows {
		from := i * rows / s.Rows * s.Dimension
		for k, v := range z[from : from+s.Dimension] {
			u[i*s.Dimension+k] = float64(v)
		}
	}
	u, _ = unit(u, s.Rows)
	s.StandardDeviation = meanDeviation(u, s.Dimension)
	if !math.IsNaN(s.StandardDeviation) {
		s.EffectiveRank = effectiveRank(u, s.Rows, s.Dimension)
	}
	return s
}

// What z has collapsed below. A healthy run is far above: of the yardstick run the deviation is 0.97 of 1/√D
// and the rank 37 of 128 (docs/health.md).
const (
	leastDeviation = 0.1  // of 1/√D
	leastRank      = 0.02 // of the directions that there are beyond the first
)

// Collapse says how z has collapsed, or "" where it has not.
func (s Spread) Collapse() string {
	healthy, directions := 1/math.Sqrt(float64(s.Dimension)), min(s.Dimension, s.Rows)
	switch {
	case s.StandardDeviation < leastDeviation*healthy:
		return fmt.Sprintf("the standard deviation of its directions is %.2g, where %.2g is all there can be (1/√%d)", s.StandardDeviation, healthy, s.Dimension)
	case s.EffectiveRank < 1+leastRank*float64(directions-1):
		return fmt.Sprintf("its effective rank is %.1f of %d", s.EffectiveRank, directions)
	}
	return ""
}

// meanDeviation of the columns.
func meanDeviation(u []float64, columns int) float64 {
	rows, total := len(u)/columns, 0.
	for k := range columns {
		sum, squares := 0., 0.
		for i := k; i < len(u); i += columns {
			sum += u[i]
		}
		mean := sum / float64(rows)
		for i := k; i < len(u); i += columns {
			squares += (u[i] - mean) * (u[i] - mean)
		}
		total += math.Sqrt(squares / float64(rows))
	}
	return total / float64(columns)
}

// effectiveRank from the eigenvalues of the smaller of uᵀu and uuᵀ, whose roots are u's singular values.
func effectiveRank(u []float64, rows, columns int) float64 {
	n, transpose := rows, blas.NoTrans
	if columns < rows {
		n, transpose = columns, blas.Trans
	}
	gram := mat.NewSymDense(n, nil)
	blas64.Syrk(transpose, 1, blas64.General{Rows: rows, Cols: columns, Stride: columns, Data: u}, 0, gram.RawSymmetric())
	var eigen mat.EigenSym
	if !eigen.Factorize(gram, false) {
		return 0 // it did not converge
	}
	values, sum := eigen.Values(nil), 0.
	for i, v := range values {
		values[i] = math.Sqrt(max(v, 0)) // rounding makes zeros negative
		sum += values[i]
	}
	entropy := 0.
	for _, v := range values {
		if p := v / sum; p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	return math.Exp(entropy)
}
