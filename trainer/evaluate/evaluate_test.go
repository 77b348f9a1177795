package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// random features in clusters, one a class, with their labels.
func random(seed uint64, rows, columns, classes int) (Matrix, []int) {
	r := rand.New(rand.NewPCG(seed, 1))
	centre := rand.New(rand.NewPCG(7, 7))
	centres := make([]float64, classes*columns)
	for i := range centres {
		centres[i] = centre.NormFloat64()
	}
	m, labels := Matrix{rows, columns, make([]float32, rows*columns)}, make([]int, rows)
	for i := range rows {
		labels[i] = i % classes
		for j := range columns {
			m.Row(i)[j] = float32(centres[labels[i]*columns+j] + 1.5*r.NormFloat64())
		}
	}
	return m, labels
}

func TestAccuracy(t *testing.T) {
	logits := Matrix{4, 6, []float32{
		9, 1, 2, 3, 4, 5, // label 0 is first
		5, 5, 5, 5, 5, 5, // of equal logits the lower class is first: label 5 is sixth
		0, 6, 5, 4, 3, 2, // label 5 is fifth
		float32(math.NaN()), 1, 0, 0, 0, 0, // never first beside no number
	}}
	var a Accuracy
	a.AddLogits(logits, []int{0, 5, 5, 1})
	if d := cmp.Diff(Accuracy{Total: 4, Top1: 1, Top5: 3}, a); d != "" {
		t.Error(d)
	}
	if a.Top1Percent() != "25.00" || a.Top5Percent() != "75.00" {
		t.Errorf("top-1 %s, top-5 %s", a.Top1Percent(), a.Top5Percent())
	}
	var nan Accuracy
	nan.AddLogits(Matrix{1, 1, []float32{float32(math.NaN())}}, []int{0})
	if nan.Top5 != 0 {
		t.Error("a logit that is no number counts as right")
	}
	var p Accuracy
	p.AddPredictions([]int{1, 2, 3}, []int{1, 0, 3})
	if d := cmp.Diff("66.67", p.Top1Percent()); d != "" {
		t.Error(d)
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0.00", 1: "100.00", 0.39876: "39.88", 3988. / 10000: "39.88"} {
		if got := Percent(share); got != want {
			t.Errorf("Percent(%v) is %s, want %s", share, got, want)
		}
	}
}

func TestLabelsAreChecked(t *testing.T) {
	m, _ := random(1, 4, 2, 2)
	for name, labels := range map[string][]int{"too few": {0}, "negative": {0, 1, -1, 0}, "too large": {0, 1, 2, 0}} {
		t.Run(name, func(t *testing.T) {
			if _, err := (KNN{Neighbors: 1, Classes: 2, Temperature: 1}).Predict(t.Context(), m, labels, m, nil); err == nil {
				t.Error("kNN takes them")
			}
			if _, err := (LBFGS{Classes: 2, MaxIterations: 1}).Fit(t.Context(), m, labels); err == nil {
				t.Error("L-BFGS takes them")
			}
		})
	}
}
