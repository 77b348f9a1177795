package stage

import (
	"context"
	"sync"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// Sources are where data is, besides what the spec says.
type Sources struct {
	Directory           string               // of the dataset's files, instead of its uri or a download
	EvaluationDirectory string               // of evaluation.dataset's files
	Mirror              string               // base URL of known datasets
	Cache               string               // directory of downloads
	Secrets             string               // directory of what credentials and caBundle of the spec refer to; empty: the environment
	CABundle            string               // file of certificates to trust, where no caBundle of the spec is in Secrets
	retrying            func(message string) // tells what is tried again; may be nil
	neighbours          int                  // as in Options
}

// data is what a run's stages train and test on. The evaluation splits are nil where nothing of the
// spec needs labels.
type data struct {
	spec                *v1alpha1.SimCLRRunSpec
	train               *dataset.Set
	evalTrain, evalTest *dataset.Set
	subsets             map[string]labels // that lists name, by finetuning stage
	workers             int
	seed                uint64
	unaugmented         func() dataset.Transform
	waited              func(time.Duration) // told how long training stood still for its next images
}

// openData opens all data of a run, also what only later stages need: so that a mistake in it shows
// before hours of pretraining.
func openData(ctx context.Context, s *v1alpha1.SimCLRRunSpec, from Sources, workers int, t *report.Tracker) (*data, error) {
	d := &data{spec: s, workers: workers, seed: uint64(*s.Pretraining.Seed), waited: t.Waited}
	o := dataset.Options{
		Field: "spec.dataset", Directory: from.Directory, Mirror: from.Mirror, Cache: from.Cache,
		MemoryBytes: imageMemory(s, from.neighbours), Workers: workers, Progress: tell(t),
		Secrets: from.Secrets, CABundle: from.CABundle, Warn: from.retrying,
	}
	var err error
	if d.unaugmented, err = augment.Factory(augment.Evaluation(d.size()), d.seed); err != nil {
		return nil, err
	}
	if d.train, err = dataset.Open(ctx, s.Dataset, o); err != nil {
		return nil, stopped(ctx, err)
	}
	if !labelsNeeded(s) {
		return d, nil
	}
	labelled := s.Dataset
	d.evalTrain = d.train
	if s.Evaluation != nil {
		labelled, o.Directory, o.Field = s.Evaluation.Dataset, from.EvaluationDirectory, "spec.evaluation.dataset"
		if d.evalTrain, err = dataset.Open(ctx, labelled, o); err != nil {
			return nil, stopped(ctx, err)
		}
	}
	if err := dataset.CheckLabels(d.evalTrain, o.Field); err != nil {
		return nil, err
	}
	o.Split, o.Classes = dataset.Test, d.evalTrain.Classes()
	if d.evalTest, err = dataset.Open(ctx, labelled, o); err != nil {
		return nil, stopped(ctx, err)
	}
	if err := dataset.CheckSplits(d.evalTrain, d.evalTest, o.Field); err != nil {
		return nil, err
	}
	return d, stopped(ctx, d.readSubsets(ctx))
}

// labelsNeeded: some part of the run has labels to learn or to test.
func labelsNeeded(s *v1alpha1.SimCLRRunSpec) bool {
	return s.KNN.Mode == v1alpha1.Enabled || s.LinearEvaluation.Mode == v1alpha1.Enabled || len(s.Finetuning) > 0
}

// tell a tracker of downloads and decoding, each a piece of work of its own.
func tell(t *report.Tracker) func(what string, done, total int64) {
	var mu sync.Mutex
	current, before := "", int64(0)
	return func(what string, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		if what != current || done < before { // a second set is decoded under the same name
			t.Begin(report.Preparing, total)
			current, before = what, 0
		}
		t.Advance(done - before)
		before = done
	}
}

// facts for the plan.
func (d *data) facts() plan.Facts {
	f := plan.Facts{Pretraining: facts(d.train, nil)}
	if d.evalTrain != nil {
		f.Evaluation = facts(d.evalTrain, d.evalTest)
		f.LabelSubsets = d.subsetCounts()
	}
	return f
}

func facts(train, test *dataset.Set) plan.Dataset {
	f := plan.Dataset{Train: train.Len(), Classes: len(train.Classes()), ClassCounts: dataset.ClassCounts(train)}
	if test != nil {
		f.Test = test.Len()
	}
	return f
}

func (d *data) classes() int { return len(d.evalTrain.Classes()) }
