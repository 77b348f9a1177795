package evaluate

import (
	"math"
	"strconv"
)

// Accuracy counts right predictions.
type Accuracy struct {
	Total, Top1, Top5 int
}

// AddLogits counts rows of logits. A label is in the top k where fewer than k classes come before it;
// of equal logits the lower class comes first, as in argmax. With fewer than 5 classes every row is in
// the top 5. A row with a logit that is no number is wrong.
func (a *Accuracy) AddLogits(logits Matrix, labels []int) {
	for i, label := range labels {
		rank := rankOf(logits.Row(i), label)
		a.Total++
		if rank < 1 {
			a.Top1++
		}
		if rank < 5 {
			a.Top5++
		}
	}
}

// rankOf is how many classes come before the label; NaN comes before every number.
func rankOf(row []float32, label int) int {
	own, rank := float64(row[label]), 0
	if math.IsNaN(own) {
		return len(row) + 5
	}
	for c, w := range row {
		v := float64(w)
		if v > own || math.IsNaN(v) || (v == own && c < label) {
			rank++
		}
	}
	return rank
}

// AddPredictions counts predicted classes; Top5 stays.
func (a *Accuracy) AddPredictions(classes, labels []int) {
	for i, c := range classes {
		a.Total++
		if c == labels[i] {
			a.Top1++
		}
	}
}

// Top1Percent is the top-1 accuracy such as "39.88".
func (a Accuracy) Top1Percent() string { return a.percent(a.Top1) }

// Top5Percent is the top-5 accuracy such as "87.61".
func (a Accuracy) Top5Percent() string { return a.percent(a.Top5) }

// Top1Share is the top-1 accuracy, in [0, 1].
func (a Accuracy) Top1Share() float64 { return a.share(a.Top1) }

func (a Accuracy) percent(right int) string { return Percent(a.share(right)) }

func (a Accuracy) share(right int) float64 {
	if a.Total == 0 {
		return 0
	}
	return float64(right) / float64(a.Total)
}

// Percent is a share of 1 in percent with two decimals: 0.39876 is "39.88".
func Percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 2, 64) }
