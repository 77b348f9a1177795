package stage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// What is planned of a known dataset, without its files, is what its files would give, for every limit:
// here of 8 images in 2 classes.
func TestLimitedIsAsTheDataset(t *testing.T) {
	dir := folder(t)
	for n := range int32(11) {
		limit := new(n)
		if n == 0 {
			limit = nil
		}
		spec := v1alpha1.DatasetSpec{URI: "pvc://images", Format: v1alpha1.FormatImageFolder, Limit: limit, Labels: v1alpha1.LabelsFromFormat, ImageSize: new(int32(8))}
		got, err := limited(plan.Dataset{Train: 8, Test: 4, Classes: 2}, limit)
		set, errSet := dataset.Open(t.Context(), spec, dataset.Options{Directory: dir, Workers: 1, Field: "spec.dataset"})
		if err != nil || errSet != nil {
			if contract.ExitCode(err) != contract.ExitUserError || contract.ExitCode(errSet) != contract.ExitUserError {
				t.Errorf("limit %d: %v, but of the dataset %v", n, err, errSet)
			}
			continue
		}
		want := facts(set, nil)
		want.Test = 4
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("limit %d: %s", n, d)
		}
	}
}
