package stage

import (
	"context"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// Plan counts the images and plans a resolved run, and tells the tracker how far it is. A known dataset
// without a directory is not downloaded for it.
func Plan(ctx context.Context, run *v1alpha1.SimCLRRun, from Sources, workers int, t *report.Tracker) (*plan.Plan, error) {
	s := &run.Spec
	if from.Directory == "" && s.Evaluation == nil {
		if k, ok := dataset.Known(s.Dataset.Name); ok {
			k, err := limited(k, s.Dataset.Limit)
			if err != nil {
				return nil, err
			}
			return plan.New(run, plan.Facts{Pretraining: k, Evaluation: k})
		}
	}
	from.retrying = t.Warn
	d, err := openData(ctx, s, from, workers, t)
	if err != nil {
		return nil, err
	}
	return plan.New(run, d.facts())
}

// limited by dataset.limit as opening the data would, which keeps the same number of each class.
func limited(d plan.Dataset, limit *int32) (plan.Dataset, error) {
	each := d.Train / d.Classes
	if limit != nil {
		n := int(*limit)
		if n > d.Train || n < d.Classes {
			return d, contract.UserErrorf("TooFewImages", "spec.dataset.limit is %d; set it to at least one image for each of the %d classes and at most the %d there are, or leave it out", n, d.Classes, d.Train)
		}
		each = n / d.Classes
	}
	d.Train = each * d.Classes
	for range d.Classes {
		d.ClassCounts = append(d.ClassCounts, each)
	}
	return d, nil
}
