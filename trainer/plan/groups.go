package plan

import (
	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Batch norm makes the views that it normalises together recognisable: were both views of an image always in one group, the
// network could tell them by their group, and learn that instead of what is in the image (MoCo, He et al. 2020, section 3.3,
// shuffles its batches for that). So where the global batch of N images has several groups, each has the first views
// of N/groups images in a row, and second views that are dealt out: every group has as many of each other group's images,
// and as many of its own. Then a view's group says nothing of where its positive is.

// Groups are how many groups of batch norm a global batch has, of so many workers with so many micro-batches each.
func Groups(of v1alpha1.BatchNormStatistics, workers, microBatches int) int {
	if of == v1alpha1.BatchNormGlobal {
		return 1
	}
	return workers * microBatches
}

// checkGroups: statistics of more than one micro-batch together would need all their activations at once.
func (s Stage) checkGroups(of v1alpha1.BatchNormStatistics) error {
	if n := s.MicroBatches(); n > 1 && (of == v1alpha1.BatchNormGlobal || of == v1alpha1.BatchNormWorker) {
		return contract.UserErrorf("InvalidSpec", "pretraining.batchNormStatistics %s needs a worker's images at once, not in %d micro-batches; set it to MicroBatch, or remove %s", of, n, microBatchField)
	}
	return nil
}

// SecondView is the image, from 0 in the global batch, whose second view is at a position of a group's.
func SecondView(group, at, groups int) int { return at*groups + group }
