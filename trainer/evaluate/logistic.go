package evaluate

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// objective is multinomial logistic regression in the parameters θ = (weights (K, D), biases (K)).
type objective struct {
	x       []float64 // (rows, D), standardised
	columns int
	labels  []int
	classes int
	decay   float64
	at      []float64 // θ of the last evaluation
	loss    float64
	grad    []float64
}

func newObjective(x []float64, columns int, labels []int, classes int, decay float64) *objective {
	return &objective{x: x, columns: columns, labels: labels, classes: classes, decay: decay, grad: make([]float64, classes*(columns+1))}
}

func (f *objective) value(theta []float64) float64 {
	f.evaluate(theta)
	return f.loss
}

func (f *objective) gradient(grad, theta []float64) {
	f.evaluate(theta)
	copy(grad, f.grad)
}

// evaluate both at once: the search asks for them one after the other at the same point.
func (f *objective) evaluate(theta []float64) {
	if f.at != nil && same(f.at, theta) {
		return
	}
	f.at = append(f.at[:0], theta...)
	split := f.classes * f.columns
	weight, bias := theta[:split], theta[split:]
	residual := scores(f.x, f.columns, weight, bias)
	f.loss = f.crossEntropy(residual)
	gradWeight, gradBias := f.grad[:split], f.grad[split:]
	rows := len(f.labels)
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, general(residual, rows, f.classes), general(f.x, rows, f.columns), 0, general(gradWeight, f.classes, f.columns))
	clear(gradBias)
	for i := range rows {
		for k, v := range residual[i*f.classes : (i+1)*f.classes] {
			gradBias[k] += v
		}
	}
	for j, w := range weight {
		f.loss += f.decay * w * w
		gradWeight[j] += 2 * f.decay * w
	}
}

// crossEntropy is the mean over rows; it replaces logits by its derivative by them, (softmax − target)/rows.
func (f *objective) crossEntropy(logits []float64) float64 {
	loss, share := 0., 1/float64(len(f.labels))
	for i, label := range f.labels {
		row := logits[i*f.classes : (i+1)*f.classes]
		largest := row[0]
		for _, v := range row {
			largest = max(largest, v)
		}
		own, sum := row[label]-largest, 0.
		for k, v := range row {
			row[k] = math.Exp(v - largest)
			sum += row[k]
		}
		loss += math.Log(sum) - own
		for k := range row {
			row[k] *= share / sum
		}
		row[label] -= share
	}
	return loss * share
}

// scores are x·weightᵀ + bias.
func scores(x []float64, columns int, weight, bias []float64) []float64 {
	rows, classes := len(x)/columns, len(bias)
	out := make([]float64, rows*classes)
	for i := range rows {
		copy(out[i*classes:], bias)
	}
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, general(x, rows, columns), general(weight, classes, columns), 1, general(out, rows, classes))
	return out
}

func general(data []float64, rows, columns int) blas64.General {
	return blas64.General{Rows: rows, Cols: columns, Stride: columns, Data: data}
}

func same(a, b []float64) bool {
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}
