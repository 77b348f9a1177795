package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// row of fidelity.json: the means, of which ours is to reach the target.
type row struct {
	report.Row
	Seeds         [2][]float64 `json:"seeds"`         // ours, and the peer's
	StandardError float64      `json:"standardError"` // of the means' difference
	Holds         bool         `json:"holds"`
}

// points that the mean may be lower by where the standard errors are smaller yet.
const points = 0.5

// compare makes the rows of both accuracies. The programs draw other numbers from a seed, so their runs are not pairs.
func compare(precision v1alpha1.Precision, ours, peers []runs.Result) []row {
	of := func(name string, value func(runs.Result) float64) row {
		var r row
		for i, results := range [][]runs.Result{ours, peers} {
			for _, result := range results {
				r.Seeds[i] = append(r.Seeds[i], value(result))
			}
		}
		a, ea := report.MeanAndError(r.Seeds[0])
		b, eb := report.MeanAndError(r.Seeds[1])
		r.StandardError = math.Hypot(ea, eb)
		target := b - max(points, 2*r.StandardError)
		r.Row, r.Holds = report.NewRow(name+", "+string(precision), "%", a, b, &target, report.Higher), a >= target
		return r
	}
	return []row{
		of("kNN top-1", func(r runs.Result) float64 { return r.KNN }),
		of("linear top-1", func(r runs.Result) float64 { return r.Linear }),
	}
}

// judge tells people the rows, and is an error where one does not hold.
func judge(w io.Writer, rows []row) error {
	var plain []report.Row
	var failed []string
	for _, r := range rows {
		plain = append(plain, r.Row)
		fmt.Fprintf(w, "%s: ours %.2f, peer %.2f, standard error of the difference %.2f\n", r.Case, r.Seeds[0], r.Seeds[1], r.StandardError)
		if !r.Holds {
			failed = append(failed, fmt.Sprintf("%s is %.2f, which is below %.2f", r.Case, r.Ours, *r.Target))
		}
	}
	if err := report.Table(w, plain); err != nil {
		return err
	}
	if len(failed) > 0 {
		return fmt.Errorf("lower than the peer by more than chance explains: %s", strings.Join(failed, "; "))
	}
	return nil
}
