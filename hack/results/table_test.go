package main

import (
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

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

func TestFindingsTable(t *testing.T) {
	of := func(values ...string) (r []v1alpha1.Results) {
		for _, v := range values {
			r = append(r, v1alpha1.Results{KNNTop1: v, LinearTop1: v})
		}
		return r
	}
	f := finding{"Tiny", []variant{{"both", "base"}, {"one", "one"}}}
	var text strings.Builder
	if err := f.table(&text, [][]v1alpha1.Results{of("40", "42"), of("30", "34")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| Tiny, 2 seeds |", "| both | 41.00 [40 42] | 41.00 [40 42] |  |", "| one | 32.00 [30 34] | 32.00 [30 34] | -9.00 ± 1.00 |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nlacks %s", text.String(), want)
		}
	}
}
