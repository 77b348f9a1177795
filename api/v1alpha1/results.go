package v1alpha1

import "slices"

// Merge adds the results of one stage to those of a run. The trainer makes results.json by it and the
// operator status.results, so that they are equal.
func (r *Results) Merge(stage Results) {
	for _, f := range []struct{ to, from *string }{
		{&r.KNNTop1, &stage.KNNTop1},
		{&r.LinearTop1, &stage.LinearTop1},
		{&r.LinearTop5, &stage.LinearTop5},
		{&r.PretrainingLoss, &stage.PretrainingLoss},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	for _, f := range stage.Finetune {
		at := slices.IndexFunc(r.Finetune, func(have FinetuneResult) bool { return have.Name == f.Name })
		if at < 0 {
			r.Finetune = append(r.Finetune, f)
		} else {
			r.Finetune[at] = f
		}
	}
	// stages read the same images: the same ones are skipped
	r.SkippedImages = max(r.SkippedImages, stage.SkippedImages)
}
