// Package loop trains: steps in their order, the schedule, checkpoints now and then and at a stop, exact
// resuming, and the end of what diverges. What a step is, it is told.
package loop

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Position of a step: its epoch, and its batch within the epoch, both from 0.
type Position struct {
	Epoch int32
	Batch int64
}

// Measure is what a step tells.
type Measure struct {
	Loss     float64
	Accuracy float64 // contrastive, in percent; 0 where there is none
}

// Task is what is trained. All randomness of a step follows from its position and the run's seed, so
// that its state is the tensors alone.
type Task struct {
	// Step trains on the batch at a position. It updates nothing where the loss is not a number.
	Step func(ctx context.Context, at Position, learningRate float64) (Measure, error)
	// Snapshot copies all variables, Restore sets them.
	Snapshot func() ([]safetensors.Tensor, error)
	Restore  func([]safetensors.Tensor) error
	Health   Health
}

// Loop is how a stage trains.
type Loop struct {
	Stage    plan.Stage
	Store    *checkpoint.Store     // nil: another worker's
	Workers  collective.Collective // that make the same steps; nil: this one alone
	Interval time.Duration         // between two checkpoints
	Tracker  *report.Tracker
	Log      *slog.Logger

	stopped bool
}

// Stopped says that Run was told to stop and did: on all workers at the same step, with a checkpoint saved.
func (l *Loop) Stopped() bool { return l.stopped }

// extra is what a checkpoint holds besides tensors: so that a resumed epoch's mean loss is right, and its
// health is known.
type extra struct {
	LossSum  float64 `json:"lossSum"`  // over the steps of the epoch so far
	LastLoss float64 `json:"lastLoss"` // mean of the last whole epoch
	KNNEpoch int32   `json:"knnEpoch,omitempty"`
	KNNTop1  float64 `json:"knnTop1,omitempty"` // percent, after KNNEpoch epochs
}

type state struct {
	step, saved int64 // saved: step of the newest checkpoint, -1 where there is none
	savedAt     time.Time
	collapsed   bool // at the last look
	extra
}

// Run trains from the newest checkpoint that is whole, or from what the task holds, to the stage's last
// step, and saves there, which all workers wait for. It gives the mean loss of the last epoch. When its context ends it saves and
// returns the context's cause.
func (l *Loop) Run(ctx context.Context, t Task) (float64, error) {
	s, err := l.begin(ctx, t)
	if err != nil {
		return 0, err
	}
	rate := optimizer.Schedule{Peak: l.Stage.PeakLearningRate, WarmupSteps: l.Stage.WarmupSteps, TotalSteps: l.Stage.TotalSteps}
	if l.Store != nil {
		l.Tracker.Checkpoints(l.Interval)
	}
	l.Tracker.Begin(report.Training, l.Stage.TotalSteps)
	for s.step < l.Stage.TotalSteps {
		cause, err := l.between(ctx, t, s)
		if err == nil && cause == nil {
			if err = l.step(l.stepping(ctx), t, s, rate.Rate(s.step)); err != nil && l.alone() {
				cause = context.Cause(ctx)
			}
		}
		if cause != nil {
			return 0, l.stop(t, s, cause)
		}
		if err != nil {
			return 0, l.keep(t, s, err)
		}
	}
	if err := l.save(t, s); err != nil {
		return 0, err
	}
	return s.LastLoss, l.saved()
}

// between two steps are the checkpoint and the evaluation that are due. The cause is of a stop at this place.
func (l *Loop) between(ctx context.Context, t Task, s *state) (cause, err error) {
	if ctx.Err() == nil && time.Since(s.savedAt) >= l.Interval {
		if err := l.save(t, s); err != nil {
			return nil, err
		}
	}
	if ctx.Err() == nil {
		if err := l.evaluate(ctx, t.Health, s); err != nil && ctx.Err() == nil {
			return nil, err
		}
	}
	return l.stopping(ctx)
}

// resume goes on from the newest checkpoint, where there is one.
func (l *Loop) resume(t Task) (*state, error) {
	s := &state{saved: -1, savedAt: time.Now()}
	if l.Store == nil {
		return s, nil
	}
	st, warnings, err := l.Store.Load()
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		l.Tracker.Warn(w)
		l.Log.Warn(w)
	}
	if st == nil {
		return s, nil
	}
	if err := t.Restore(st.Tensors); err != nil {
		return nil, err
	}
	if len(st.Extra) > 0 {
		if err := json.Unmarshal(st.Extra, &s.extra); err != nil {
			return nil, err
		}
	}
	s.step, s.saved = st.Step, st.Step
	l.Tracker.Resumed(st.Step)
	if s.KNNEpoch > 0 {
		l.Tracker.KNN(s.KNNEpoch, s.KNNTop1)
	}
	l.Log.Info("resumed", "from", st.Step)
	return s, nil
}

func (l *Loop) step(ctx context.Context, t Task, s *state, rate float64) error {
	at := l.position(s.step)
	m, err := t.Step(ctx, at, rate)
	if err != nil {
		return err
	}
	if math.IsNaN(m.Loss) || math.IsInf(m.Loss, 0) {
		return l.diverged(s, "the loss is not a number")
	}
	s.step++
	s.LossSum += m.Loss
	l.Tracker.Step(report.Step{
		Epoch: at.Epoch + 1, Step: s.step, TotalSteps: l.Stage.TotalSteps, Images: l.images(),
		Loss: m.Loss, ContrastiveAccuracy: m.Accuracy,
	})
	last := at.Batch == l.Stage.StepsPerEpoch-1
	if err := l.look(t.Health, s, last); err != nil {
		return err
	}
	if last {
		s.LastLoss, s.LossSum = s.LossSum/float64(l.Stage.StepsPerEpoch), 0
		p := l.Tracker.Progress()
		l.Log.Info("epoch", "epoch", at.Epoch+1, "loss", s.LastLoss, "learningRate", rate, "imagesPerSecond", p.ImagesPerSecond,
			"zStandardDeviation", p.ZStandardDeviation, "zEffectiveRank", p.ZEffectiveRank)
	}
	return nil
}

func (l *Loop) position(step int64) Position {
	return Position{Epoch: int32(step / l.Stage.StepsPerEpoch), Batch: step % l.Stage.StepsPerEpoch}
}

// stop saves at a step's boundary; only then is the cause, such as SIGTERM, what ended the stage.
func (l *Loop) stop(t Task, s *state, cause error) error {
	if err := l.save(t, s); err != nil {
		return err
	}
	if err := l.saved(); err != nil {
		return err
	}
	l.Log.Info("stopped", "cause", cause.Error())
	l.stopped = true
	return cause
}

// save writes a checkpoint, where there is not one of this step. Weights that are not numbers are not
// saved: the last good checkpoint stays the newest.
func (l *Loop) save(t Task, s *state) error {
	if s.saved == s.step || l.Store == nil {
		return nil
	}
	begun := time.Now()
	tensors, err := t.Snapshot()
	if err != nil {
		return err
	}
	for _, v := range tensors {
		if !finite(v.Data) {
			return l.diverged(s, v.Name+" is not finite")
		}
	}
	raw, err := json.Marshal(s.extra)
	if err != nil {
		return err
	}
	at := l.position(s.step)
	if err := l.Store.Save(checkpoint.State{Step: s.step, Epoch: at.Epoch, Batch: at.Batch, Extra: raw, Tensors: tensors}); err != nil {
		return err
	}
	s.saved, s.savedAt = s.step, time.Now()
	l.Tracker.Saved(s.step, s.savedAt.Sub(begun))
	l.Log.Info("checkpoint", "path", l.Store.Path(s.step))
	return nil
}

func (l *Loop) diverged(s *state, what string) error {
	kept := "there is no checkpoint"
	if l.Store == nil {
		kept = "worker 0 has the checkpoints"
	} else if s.saved >= 0 {
		kept = "the last good checkpoint, " + l.Store.Path(s.saved) + ", is kept"
	}
	return contract.Errorf(contract.ExitDiverged, "Diverged", "stage %s diverged at step %d: %s; set its learningRate lower (after scaling it peaks at %g); %s",
		l.Stage.Name, s.step+1, what, l.Stage.PeakLearningRate, kept)
}

func finite(values []float32) bool {
	for _, v := range values {
		if v-v != 0 { // NaN and ±Inf
			return false
		}
	}
	return true
}
