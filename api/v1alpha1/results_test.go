package v1alpha1

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResultsMerge(t *testing.T) {
	var r Results
	r.Merge(Results{KNNTop1: "39.88", PretrainingLoss: "5.25", SkippedImages: 2})
	r.Merge(Results{LinearTop1: "45.00", LinearTop5: "90.00", SkippedImages: 1})
	r.Merge(Results{Finetune: []FinetuneResult{{Name: "a", Top1: "1.00"}}})
	r.Merge(Results{Finetune: []FinetuneResult{{Name: "b", Top1: "2.00"}}})
	r.Merge(Results{Finetune: []FinetuneResult{{Name: "a", Top1: "3.00"}}}) // told again
	want := Results{
		KNNTop1: "39.88", PretrainingLoss: "5.25", LinearTop1: "45.00", LinearTop5: "90.00", SkippedImages: 2,
		Finetune: []FinetuneResult{{Name: "a", Top1: "3.00"}, {Name: "b", Top1: "2.00"}},
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Error(d)
	}
}
