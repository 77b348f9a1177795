package plan

import (
	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// choose the labels that a finetuning stage uses: a fraction of each class, or those of a list.
func (b builder) choose(s *Stage, f *v1alpha1.FinetuningSpec, field string) error {
	if f.LabelSubset != nil {
		counts, ok := b.facts.LabelSubsets[f.Name]
		if !ok {
			return contract.UserErrorf("NoNames", "%s.labelSubset: the dataset's images have no names; set labelFraction instead", field)
		}
		s.LabelList, s.LabelsPerClass = f.LabelSubset.File, counts
		for _, n := range counts {
			s.Images += n
		}
		return nil
	}
	fraction, err := positive(field+".labelFraction", f.LabelFraction)
	if err != nil || fraction > 1 {
		return contract.UserErrorf("InvalidSpec", "%s.labelFraction %s; set it above 0 and at most \"1\"", field, f.LabelFraction)
	}
	s.LabelsPerClass, s.Images = b.facts.Evaluation.labels(fraction)
	return nil
}

// labels of each class and all together that a fraction comes to.
func (d Dataset) labels(fraction float64) (perClass []int, all int) {
	if d.ClassCounts == nil {
		return nil, min(d.Train, max(d.Classes, LabelCount(d.Train, fraction)))
	}
	for _, n := range d.ClassCounts {
		perClass = append(perClass, LabelCount(n, fraction))
		all += LabelCount(n, fraction)
	}
	return perClass, all
}
