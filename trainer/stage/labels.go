package stage

import (
	"context"
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// labels are training images whose labels finetuning uses, and how many of each class.
type labels struct {
	indices, counts []int
}

// readSubsets reads the lists of all finetuning stages: so that a mistake in one shows before hours of pretraining.
func (d *data) readSubsets(ctx context.Context) error {
	d.subsets = map[string]labels{}
	for _, f := range d.spec.Finetuning {
		if f.LabelSubset == nil {
			continue
		}
		indices, counts, err := d.evalTrain.LabelSubset(ctx, f.LabelSubset.File, fmt.Sprintf("finetuning[%s].labelSubset.file", f.Name))
		if err != nil {
			return err
		}
		d.subsets[f.Name] = labels{indices, counts}
	}
	return nil
}

// subsetCounts for the plan.
func (d *data) subsetCounts() map[string][]int {
	counts := map[string][]int{}
	for name, l := range d.subsets {
		counts[name] = l.counts
	}
	return counts
}

// chosen are the labels of a finetuning stage.
func (d *data) chosen(f *v1alpha1.FinetuningSpec) labels {
	if f.LabelSubset != nil {
		return d.subsets[f.Name]
	}
	indices, counts := dataset.LabelFraction(d.evalTrain, f.LabelFraction.MustFloat(), d.seed)
	return labels{indices, counts}
}

// chosenBy says in a log what chose a stage's labels.
func chosenBy(f *v1alpha1.FinetuningSpec) []any {
	if f.LabelSubset != nil {
		return []any{"subset", f.LabelSubset.File}
	}
	return []any{"fraction", f.LabelFraction}
}
