package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// KNN classifies rows by their nearest training rows in cosine similarity: each of the k nearest votes
// for its class with the weight exp(similarity / temperature) (Wu et al. 2018, arXiv 1805.01978).
type KNN struct {
	Neighbors   int // k; all training rows where they are fewer
	Classes     int
	Temperature float64
}

// Predict is the class of each test row. Of equally similar rows the one of the lower index is nearer,
// of equal votes the lower class wins. progress may be nil; it counts test rows.
func (k KNN) Predict(ctx context.Context, train Matrix, labels []int, test Matrix, progress func(done, total int)) ([]int, error) {
	if err := train.check(labels, k.Classes); err != nil {
		return nil, err
	}
	if test.Columns != train.Columns || len(test.Data) != test.Rows*test.Columns {
		return nil, fmt.Errorf("test features of %d×%d with %d values beside training features of %d columns", test.Rows, test.Columns, len(test.Data), train.Columns)
	}
	a, b := normalised(train), normalised(test)
	// a block of similarities takes 64 MiB at most
	rows := max(1, min(256, 1<<24/train.Rows))
	block := make([]float32, rows*train.Rows)
	predicted := make([]int, 0, test.Rows)
	for first := 0; first < test.Rows; first += rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := min(rows, test.Rows-first)
		similarities(block[:n*train.Rows], b.Data[first*b.Columns:(first+n)*b.Columns], a)
		for i := range n {
			predicted = append(predicted, k.vote(block[i*train.Rows:(i+1)*train.Rows], labels))
		}
		if progress != nil {
			progress(first+n, test.Rows)
		}
	}
	return predicted, nil
}

// similarities of rows, each of a.Columns values, with all rows of a: out = rows·aᵀ.
func similarities(out, rows []float32, a Matrix) {
	n := len(rows) / a.Columns
	general := func(data []float32, rows, columns int) blas32.General {
		return blas32.General{Rows: rows, Cols: columns, Stride: columns, Data: data}
	}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, general(rows, n, a.Columns), general(a.Data, a.Rows, a.Columns), 0, general(out, n, a.Rows))
}

// normalised has rows of length 1; a row of zeros stays one.
func normalised(m Matrix) Matrix {
	out := Matrix{m.Rows, m.Columns, make([]float32, len(m.Data))}
	for i := range m.Rows {
		sum := 0.
		for _, v := range m.Row(i) {
			sum += float64(v) * float64(v)
		}
		scale := 1 / max(math.Sqrt(sum), 1e-12)
		for j, v := range m.Row(i) {
			out.Row(i)[j] = float32(float64(v) * scale)
		}
	}
	return out
}

// vote of the k nearest of one row's similarities.
func (k KNN) vote(similarity []float32, labels []int) int {
	near := nearest(similarity, k.Neighbors)
	votes := make([]float64, k.Classes)
	best := float64(similarity[near[0]])
	for _, j := range near {
		// relative to the best one: no exponential overflows, and the winner is the same
		votes[labels[j]] += math.Exp((float64(similarity[j]) - best) / k.Temperature)
	}
	winner := 0
	for c, v := range votes {
		if v > votes[winner] {
			winner = c
		}
	}
	return winner
}

// nearest are the indices of the k largest values, largest first, the lower index first among equals.
func nearest(values []float32, k int) []int {
	k = min(k, len(values))
	before := func(i, j int) bool { return values[i] > values[j] || (values[i] == values[j] && i < j) }
	heap := make([]int, 0, k) // the last of those kept is at the root
	down := func(at int) {
		for child := 2*at + 1; child < len(heap); at, child = child, 2*child+1 {
			if child+1 < len(heap) && before(heap[child], heap[child+1]) {
				child++
			}
			if before(heap[child], heap[at]) {
				return
			}
			heap[at], heap[child] = heap[child], heap[at]
		}
	}
	for i := range values {
		switch {
		case len(heap) < k:
			if heap = append(heap, i); len(heap) == k {
				for at := k/2 - 1; at >= 0; at-- {
					down(at)
				}
			}
		case before(i, heap[0]):
			heap[0] = i
			down(0)
		}
	}
	slices.SortFunc(heap, func(i, j int) int { return cmp.Or(cmp.Compare(values[j], values[i]), cmp.Compare(i, j)) })
	return heap
}
