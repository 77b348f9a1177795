package evaluate

import (
	stdcmp "cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// naive is the formula written straight down in float64.
func naive(train Matrix, labels []int, test Matrix, k KNN) []int {
	cosine := func(a, b []float32) float64 {
		ab, aa, bb := 0., 0., 0.
		for i := range a {
			ab += float64(a[i]) * float64(b[i])
			aa += float64(a[i]) * float64(a[i])
			bb += float64(b[i]) * float64(b[i])
		}
		return ab / math.Sqrt(aa*bb)
	}
	out := make([]int, test.Rows)
	for i := range out {
		s, order := make([]float64, train.Rows), make([]int, train.Rows)
		for j := range s {
			s[j], order[j] = cosine(test.Row(i), train.Row(j)), j
		}
		slices.SortStableFunc(order, func(a, b int) int { return stdcmp.Compare(s[b], s[a]) })
		votes := make([]float64, k.Classes)
		for _, j := range order[:min(k.Neighbors, len(order))] {
			votes[labels[j]] += math.Exp(s[j] / k.Temperature)
		}
		for c, v := range votes {
			if v > votes[out[i]] {
				out[i] = c
			}
		}
	}
	return out
}

func TestKNNAgainstTheFormula(t *testing.T) {
	train, labels := random(1, 700, 16, 5)
	test, wanted := random(2, 300, 16, 5)
	for name, k := range map[string]KNN{
		"the yardstick's":       {200, 5, 0.1},
		"one neighbour":         {1, 5, 0.1},
		"more than there are":   {1000, 5, 0.5},
		"a flat vote":           {20, 5, 100},
		"exponentials of 1,000": {50, 5, 0.001},
	} {
		t.Run(name, func(t *testing.T) {
			var done, total int
			got, err := k.Predict(t.Context(), train, labels, test, func(d, n int) { done, total = d, n })
			if err != nil {
				t.Fatal(err)
			}
			if k.Temperature < 0.01 { // the straight formula would overflow: the nearest alone decide
				k.Neighbors = 1
			}
			if d := cmp.Diff(naive(train, labels, test, k), got); d != "" {
				t.Error(d)
			}
			if done != 300 || total != 300 {
				t.Errorf("progress ended at %d of %d", done, total)
			}
			var a Accuracy
			if a.AddPredictions(got, wanted); a.Top1 < 200 {
				t.Errorf("only %d of 300 right: the data are clusters", a.Top1)
			}
		})
	}
}

func TestKNNTiesAreDeterministic(t *testing.T) {
	// all rows are alike: the nearest are those of the lowest indices, and of equal votes class 0 wins
	train := Matrix{4, 1, []float32{1, 2, 3, 4}}
	test := Matrix{1, 1, []float32{5}}
	for k, want := range map[int]int{1: 2, 2: 0, 4: 0} {
		got, err := KNN{k, 3, 0.1}.Predict(t.Context(), train, []int{2, 0, 0, 2}, test, nil)
		if err != nil || got[0] != want {
			t.Errorf("k %d: class %v, %v; want %d", k, got, err, want)
		}
	}
}

func TestNearestAgainstSort(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := make([]float32, 501)
	for i := range values {
		values[i] = float32(r.IntN(40)) // many ties
	}
	want := make([]int, len(values))
	for i := range want {
		want[i] = i
	}
	slices.SortStableFunc(want, func(a, b int) int { return stdcmp.Compare(values[b], values[a]) })
	for _, k := range []int{1, 2, 3, 100, 500, 501, 600} {
		if d := cmp.Diff(want[:min(k, len(want))], nearest(values, k)); d != "" {
			t.Errorf("k %d: %s", k, d)
		}
	}
}

func TestKNNEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, labels := random(1, 10, 2, 2)
	if _, err := (KNN{1, 2, 1}).Predict(ctx, m, labels, m, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
