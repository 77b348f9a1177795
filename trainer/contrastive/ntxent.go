// Package contrastive is NT-Xent as a formula, in float64: the loss, its gradient and the contrastive
// accuracy, straight from the paper. Executors' faster versions are tested against it.
//
// z holds the rows of 2N projections, each of len(z)/rows values: all first views, then all second;
// the positive of row i is row (i + N) mod 2N. A row of similarities is held at a time, never all.
package contrastive

import "math"

// Loss is NT-Xent, the mean over all 2N anchors (paper equation 1 and algorithm 1).
func Loss(z []float64, rows int, temperature float64) float64 {
	u, _ := unit(z, rows)
	loss := 0.
	for i := range rows {
		loss -= logProbabilities(u, rows, i, temperature)[(i+rows/2)%rows] / float64(rows)
	}
	return loss
}

// Gradient of Loss by z: every row as an anchor, and as the positive or a negative of the others.
func Gradient(z []float64, rows int, temperature float64) []float64 {
	u, norm := unit(z, rows)
	d := len(z) / rows
	du := make([]float64, len(z))
	scale := 1 / (temperature * float64(rows))
	for i := range rows {
		p := probabilities(u, rows, i, temperature)
		p[(i+rows/2)%rows]--
		for j := range rows {
			for k := range d { // the logit (i, j) is u_i·u_j / temperature
				du[i*d+k] += scale * p[j] * u[j*d+k]
				du[j*d+k] += scale * p[j] * u[i*d+k]
			}
		}
	}
	for i := range rows { // through u = z/‖z‖
		row, g := u[i*d:(i+1)*d], du[i*d:(i+1)*d]
		along := dot(g, row)
		for k := range g {
			g[k] = (g[k] - along*row[k]) / norm[i]
		}
	}
	return du
}

// Accuracy is the share of first views whose most similar second view is their own
// (google-research/simclr objective.py, logits_ab).
func Accuracy(z []float64, rows int) float64 {
	u, _ := unit(z, rows)
	n, d, right := rows/2, len(z)/rows, 0
	for i := range n {
		best, at := math.Inf(-1), 0
		for j := range n {
			if s := dot(u[i*d:(i+1)*d], u[(n+j)*d:(n+j+1)*d]); s > best {
				best, at = s, j
			}
		}
		if at == i {
			right++
		}
	}
	return float64(right) / float64(n)
}

// smallest norm that a row is divided by, so that a row of zeros has a direction of zeros.
const smallest = 1e-12

func unit(z []float64, rows int) (u, norm []float64) {
	d := len(z) / rows
	u, norm = make([]float64, len(z)), make([]float64, rows)
	for i := range rows {
		row := z[i*d : (i+1)*d]
		norm[i] = max(math.Sqrt(dot(row, row)), smallest)
		for k, v := range row {
			u[i*d+k] = v / norm[i]
		}
	}
	return u, norm
}

// logProbabilities are the log-softmax over all other rows of anchor i's similarities; its own is -Inf.
// Shifted by the largest, nothing overflows or vanishes at any temperature.
func logProbabilities(u []float64, rows, i int, temperature float64) []float64 {
	d := len(u) / rows
	l, top := make([]float64, rows), math.Inf(-1)
	for j := range rows {
		if l[j] = math.Inf(-1); j != i {
			l[j] = dot(u[i*d:(i+1)*d], u[j*d:(j+1)*d]) / temperature
			top = max(top, l[j])
		}
	}
	sum := 0.
	for _, v := range l {
		sum += math.Exp(v - top)
	}
	for j := range l {
		l[j] -= top + math.Log(sum)
	}
	return l
}

// probabilities are the softmax of anchor i's similarities.
func probabilities(u []float64, rows, i int, temperature float64) []float64 {
	p := logProbabilities(u, rows, i, temperature)
	for j, l := range p {
		p[j] = math.Exp(l)
	}
	return p
}

func dot(a, b []float64) float64 {
	s := 0.
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}
