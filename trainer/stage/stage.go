// Package stage runs one stage of a run: pretraining, linear evaluation or finetuning. It opens data,
// output and engine, goes on from the newest checkpoint, and stores the result. A stage that is done
// already only tells its result again.
package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/loop"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// Options of a stage.
type Options struct {
	Run     *v1alpha1.SimCLRRun // resolved
	Stage   string
	Output  string // the run's directory
	Attempt int32  // of the stage, from 1
	Threads int
	Engine  string // "cpu", or "interp", the slow reference
	Data    Sources
	Encoder string // directory of pretraining.from; empty: where its uri is mounted
	Tracker *report.Tracker
	Log     *slog.Logger
	// Workers says how this one of several joins the others; nil: there is one. Run, stage, attempt and what is told of progress
	// are filled in.
	Workers *collective.Config
	// Neighbours are how many other workers of the run are on this machine, and share its memory.
	Neighbours int
	// Abandon ends the process: another worker was lost, and the stage did not end in time. It may be nil.
	Abandon func(error)

	accelerated func(*xla.Options) // changes an accelerator's, in tests; may be nil
}

// Run runs a stage to its end. The message is the one to leave at exit, in any case; its exit code is
// the error's. Where the context ends, the stage saves a checkpoint and the context's cause is the error.
func Run(ctx context.Context, o Options) (contract.TerminationMessage, error) {
	m, err := run(ctx, o)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			err = WithCheckpoint(err, o.Tracker.Termination(nil))
		}
		return o.Tracker.Termination(err), err
	}
	return *m, nil
}

// WithCheckpoint adds to a stop's cause what the stage goes on from, where there is one.
func WithCheckpoint(err error, m contract.TerminationMessage) error {
	if m.CheckpointStep == 0 && m.ResumedFrom == nil {
		return err
	}
	return fmt.Errorf("%w (newest checkpoint of stage %s: step %d)", err, m.Stage, m.CheckpointStep)
}

func run(ctx context.Context, o Options) (*contract.TerminationMessage, error) {
	if names := o.Run.Spec.StageNames(); !slices.Contains(names, o.Stage) {
		return nil, contract.UserErrorf("UnknownStage", "run %s has no stage %q; it has %s", o.Run.Name, o.Stage, strings.Join(names, ", "))
	}
	if !o.joint() && o.rank() > 0 {
		return o.nothing("worker 0 does this stage alone"), nil
	}
	return o.together(ctx, o.with)
}

// with the other workers, a stage that is not done.
func (o Options) with(ctx context.Context, workers collective.Collective) (*contract.TerminationMessage, error) {
	hash, err := ConfigHash(&o.Run.Spec)
	if err != nil {
		return nil, err
	}
	done, err := o.begin(ctx, workers, hash)
	if err != nil {
		return nil, err
	}
	if done != nil && workers.Rank() > 0 {
		return done, nil
	}
	if done != nil {
		return done, checkpoint.MergeResults(o.Output, o.Run.Spec.StageNames())
	}
	r, err := open(ctx, o, hash, workers)
	var m *contract.TerminationMessage
	if err == nil {
		m, err = r.run(ctx)
	}
	r.end(err)
	return m, err
}

// run what is opened. Worker 0's message has the result.
func (r *runner) run(ctx context.Context) (*contract.TerminationMessage, error) {
	result, err := r.dispatch(ctx)
	if err != nil {
		return nil, err
	}
	if r.workers.Rank() > 0 {
		if err := r.finished(ctx); err != nil {
			return nil, err
		}
		return r.nothing("worker 0 does the rest"), nil
	}
	result.SkippedImages = r.data.skipped()
	m := r.Tracker.Termination(nil)
	m.Results, m.EncoderSHA256 = result, r.encoderSHA256
	if err := r.save(m); err != nil {
		return nil, err
	}
	return &m, r.finished(ctx)
}

// save stores the stage's result, where it is still this attempt's turn.
func (r *runner) save(m contract.TerminationMessage) error {
	if err := r.store.Fence(); err != nil {
		return err
	}
	return checkpoint.SaveResult(r.Output, r.Run.Spec.StageNames(), m)
}

// runner is a stage that runs.
type runner struct {
	Options
	spec          *v1alpha1.SimCLRRunSpec
	hash          string
	workers       collective.Collective
	engine        engine.Engine
	store         *checkpoint.Store // nil: worker 0's
	data          *data
	stage         plan.Stage
	model         model.Config
	encoderSHA256 string // of a pretrain stage that is done
	agreed        bool   // all workers have stopped, at the same step
	parted        bool   // another worker is gone, or may be
}

// open opens what the stage needs: engine, checkpoints, data; and plans it. What it gives with an error is to be ended, too.
func open(ctx context.Context, o Options, hash string, workers collective.Collective) (*runner, error) {
	r := &runner{Options: o, spec: &o.Run.Spec, hash: hash, workers: workers, model: model.FromSpec(&o.Run.Spec)}
	e, environment, err := newEngine(ctx, o, workers)
	if err != nil {
		return r, err
	}
	r.engine = e
	if workers.Size() > 1 {
		environment.Workers = workers.Size()
	}
	err = r.prepare(ctx, environment)
	return r, err
}

func (r *runner) prepare(ctx context.Context, environment checkpoint.Environment) (err error) {
	if r.workers.Rank() == 0 {
		r.store, err = checkpoint.Open(r.Output, r.Stage, checkpoint.Options{
			Attempt: r.Attempt, Keep: int(r.spec.Checkpoint.Keep), ConfigHash: r.hash, Environment: environment,
		})
		if err != nil {
			return err
		}
	}
	from := r.Data
	from.retrying, from.neighbours = r.retrying(), r.Neighbours
	if r.data, err = openData(ctx, r.spec, from, r.Threads, r.Tracker); err != nil {
		return err
	}
	for _, w := range r.data.warnings() {
		r.Tracker.Warn(w)
		r.Log.Warn(w)
	}
	f := r.data.facts()
	f.Workers = r.workers.Size()
	p, err := plan.New(r.Run, f)
	if err != nil {
		return err
	}
	r.stage, _ = p.Stage(r.Stage) // it has all that run has seen
	if err := r.checkData(ctx); err != nil {
		return err
	}
	return r.checkMemory(p)
}

// checkMemory of this stage and the later ones; where neighbours share it, of this one, which is the only one that they do.
// A step on an accelerator is in its memory, which its compiler looks at; the views are in the host's.
func (r *runner) checkMemory(p *plan.Plan) error {
	switch memory := availableMemory(); {
	case memory == 0:
		return nil
	case r.spec.Accelerator.Type != v1alpha1.CPU:
		return p.CheckHostMemory(r.Stage, memory)
	case r.Neighbours > 0:
		return r.stage.CheckMemory(memory / int64(1+r.Neighbours))
	default:
		return p.CheckMemory(r.Stage, memory)
	}
}

// retrying logs what is tried again; the first is a warning too, which becomes an event of the run.
func (r *runner) retrying() func(message string) {
	var first sync.Once
	return func(message string) {
		r.Log.Warn(message)
		first.Do(func() { r.Tracker.Warn("storage of the dataset: " + message) })
	}
}

// dispatch runs the stage by its kind.
func (r *runner) dispatch(ctx context.Context) (*v1alpha1.Results, error) {
	r.Tracker.Begin(report.Compiling, 0)
	switch r.stage.Kind {
	case plan.Pretraining:
		return r.pretrain(ctx)
	case plan.TakeOver:
		return r.takeOver(ctx)
	case plan.LinearLBFGS:
		return r.linearLBFGS(ctx)
	case plan.LinearSGD:
		return r.linearSGD(ctx)
	default:
		return r.finetune(ctx)
	}
}

func (r *runner) loop() *loop.Loop {
	return &loop.Loop{
		Stage: r.stage, Store: r.store, Workers: r.workers, Interval: time.Duration(r.spec.Checkpoint.IntervalSeconds) * time.Second,
		Tracker: r.Tracker, Log: r.Log,
	}
}
