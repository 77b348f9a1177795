package main

import (
	"math"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestMeanAndError(t *testing.T) {
	for name, tc := range map[string]struct {
		x           []float64
		mean, error float64
	}{
		// 1, 2, 3: variance 1 with n − 1, so its error is 1/√3
		"three":        {[]float64{1, 2, 3}, 2, 1 / math.Sqrt(3)},
		"one has none": {[]float64{4}, 4, 0},
	} {
		mean, e := meanAndError(tc.x)
		if math.Abs(mean-tc.mean) > 1e-12 || math.Abs(e-tc.error) > 1e-12 {
			t.Errorf("%s: %g ± %g, want %g ± %g", name, mean, e, tc.mean, tc.error)
		}
	}
}

func TestTable(t *testing.T) {
	of := func(knn, linear string, top1 ...string) v1alpha1.Results {
		r := v1alpha1.Results{KNNTop1: knn, LinearTop1: linear}
		for i, v := range top1 {
			r.Finetune = append(r.Finetune, v1alpha1.FinetuneResult{Name: finetunings[i].Name, Top1: v})
		}
		return r
	}
	var text strings.Builder
	err := table(&text, "tiny", []v1alpha1.Results{of("40", "50", "30", "20"), of("42", "54", "32", "20")},
		[]v1alpha1.Results{of("30", "30"), of("30", "30")})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"41.00 [40 42] | 30.00 [30 30] | +11.00 ± 1.00", "+22.00 ± 2.00", "+11.00 ± 1.00"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nlacks %s", text.String(), want)
		}
	}
}
