package loop

import (
	"context"
	"fmt"

	"github.com/simclr-operator/simclr-operator/trainer/contrastive"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// Health is what is looked at while a task trains. It changes nothing of the training: weights are the same
// bits with it and without.
type Health struct {
	// Spread of z in the last step; nil: the task has no z.
	Spread func() (contrastive.Spread, error)
	// KNN is the top-1 accuracy of the encoder as it is now, in percent; nil: not asked.
	KNN func(ctx context.Context) (float64, error)
	// KNNEpochs lie between two evaluations. The one after the last epoch is not the loop's.
	KNNEpochs int32
}

// lookSteps lie between two looks at z within an epoch; its last step is looked at in any case.
const lookSteps = 50

// look at z, and warn where it has collapsed by the end of an epoch: within the first one it may still
// unfold.
func (l *Loop) look(h Health, s *state, endOfEpoch bool) error {
	if h.Spread == nil || !endOfEpoch && s.step%lookSteps != 0 {
		return nil
	}
	spread, err := h.Spread()
	if err != nil {
		return err
	}
	l.Tracker.Spread(spread.StandardDeviation, spread.EffectiveRank)
	if !endOfEpoch {
		return nil
	}
	why := spread.Collapse()
	if why != "" && !s.collapsed {
		message := fmt.Sprintf("step %d: z has collapsed: %s; lower pretraining.learningRate, or raise pretraining.warmupEpochs, batchSize or the augmentations' strength", s.step, why)
		l.Tracker.Warn(message)
		l.Log.Warn(message)
	}
	s.collapsed = why != ""
	l.Tracker.Collapsed(s.collapsed)
	return nil
}

// evaluate by kNN where that is due: at the end of every KNNEpochs-th epoch, also where the stage was stopped
// between that epoch's last step and its evaluation.
func (l *Loop) evaluate(ctx context.Context, h Health, s *state) error {
	at := l.position(s.step)
	if h.KNN == nil || h.KNNEpochs == 0 || s.step == 0 || at.Batch != 0 || at.Epoch%h.KNNEpochs != 0 || s.KNNEpoch == at.Epoch {
		return nil
	}
	top1, err := h.KNN(ctx)
	if err != nil {
		return err
	}
	s.KNNEpoch, s.KNNTop1 = at.Epoch, top1
	l.Tracker.KNN(at.Epoch, top1)
	l.Log.Info("kNN", "epoch", at.Epoch, "top1", top1)
	l.Tracker.Begin(report.Training, l.Stage.TotalSteps)
	return nil
}
