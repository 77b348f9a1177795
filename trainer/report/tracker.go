// Package report tells others how a stage is doing: /progress, /metrics and /healthz over HTTP, lines or a
// bar on a terminal, structured logs, the termination message, and the watchdog that ends a stall.
package report

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// The phases of a stage.
const (
	Preparing  = "Preparing"
	Compiling  = "Compiling"
	Training   = "Training"
	Evaluating = "Evaluating"
)

// window over which rates are taken.
const window = 30 * time.Second

// Tracker is a stage's progress. Its methods may be called from any goroutine.
type Tracker struct {
	run  string
	rank int

	mu       sync.Mutex
	p        contract.Progress
	own      own
	saved    time.Time // the newest checkpoint of this process; before it when there could be one
	lastUnit time.Time
	lastPart time.Time // of a unit, or of all of it
	units    uint64    // and parts of units that this process has finished
	samples  []sample
}

// sample is what was done when.
type sample struct {
	at     time.Time
	done   int64
	images int64
}

// Step is a training step that is finished.
type Step struct {
	Epoch               int32 // from 1
	Step                int64 // steps done, from 1
	TotalSteps          int64
	Images              int // source images of the step, not views
	Loss                float64
	ContrastiveAccuracy float64 // percent; 0 where there is none
}

// New tracks a stage of a run from now on, in the phase Preparing.
func New(run, stage string, attempt int32, rank int) *Tracker {
	t := &Tracker{run: run, rank: rank, p: contract.Progress{SchemaVersion: contract.Version, Stage: stage, Attempt: attempt}}
	t.Begin(Preparing, 0)
	return t
}

// Begin starts a phase of total units of work (steps, images, bytes; 0: unknown). Training goes on from
// the step that was told to Resumed.
func (t *Tracker) Begin(phase string, total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.Phase, t.p.Done, t.p.Total = phase, 0, total
	if phase == Training {
		t.p.Done = t.p.Step
	}
	t.lastUnit = time.Now()
	t.lastPart = t.lastUnit
	t.units++
	t.samples = append(t.samples[:0], sample{t.lastUnit, t.p.Done, t.own.images})
}

// Advance tells of n more units of the phase.
func (t *Tracker) Advance(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.Done += n
	t.sample()
}

// Part tells that a part of a unit is done, such as a micro-batch of a step: one that takes long has not
// stalled.
func (t *Tracker) Part() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastPart = time.Now()
	t.units++
}

// Units is how many units of work, and parts of them, this process has finished.
func (t *Tracker) Units() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.units
}

// Waiting tells that this process waits for another that goes on: it has not stalled.
func (t *Tracker) Waiting() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastPart = time.Now()
}

// Step tells of a training step: a unit of the phase Training.
func (t *Tracker) Step(s Step) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.Epoch, t.p.Step, t.p.TotalSteps = s.Epoch, s.Step, s.TotalSteps
	t.p.Done, t.p.Total = s.Step, s.TotalSteps
	t.p.Loss, t.p.ContrastiveAccuracy = finite(s.Loss), finite(s.ContrastiveAccuracy)
	t.own.images += int64(s.Images)
	t.sample()
}

// finite is 0 for what JSON cannot say; a loss that is no number ends the stage anyway.
func finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}

// sample notes that a unit was finished now, and forgets what is older than the window.
func (t *Tracker) sample() {
	t.lastUnit = time.Now()
	t.lastPart = t.lastUnit
	t.units++
	t.samples = append(t.samples, sample{t.lastUnit, t.p.Done, t.own.images})
	for len(t.samples) > 2 && t.lastUnit.Sub(t.samples[1].at) >= window {
		t.samples = t.samples[1:]
	}
}

// Spread tells how well z fills its space.
func (t *Tracker) Spread(deviation, rank float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.ZStandardDeviation, t.p.ZEffectiveRank = finite(deviation), finite(rank)
}

// KNN tells of an evaluation after so many epochs. Unit: percent.
func (t *Tracker) KNN(epoch int32, top1 float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.KNNEpoch, t.p.KNNTop1 = epoch, top1
}

// Resumed tells that the stage goes on from a checkpoint.
func (t *Tracker) Resumed(step int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.p.ResumedFrom, t.p.Step, t.p.CheckpointStep = &step, step, step
}

// Warn keeps a warning for /progress and the termination message: the first ones, each once, shortened.
func (t *Tracker) Warn(message string) {
	message = shorten(message, contract.MaxWarningBytes)
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.p.Warnings, message) {
		return
	}
	if len(t.p.Warnings) < contract.MaxWarnings {
		t.p.Warnings = append(t.p.Warnings, message)
	}
}

// Progress now.
func (t *Tracker) Progress() contract.Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.p
	p.Warnings = append([]string(nil), t.p.Warnings...)
	if p.ResumedFrom != nil {
		from := *p.ResumedFrom
		p.ResumedFrom = &from
	}
	// differences of time.Time go by the monotonic clock: setting the wall clock stalls nothing
	p.SinceLastUnitSeconds = time.Since(t.lastPart).Seconds()
	first, last := t.samples[0], t.samples[len(t.samples)-1]
	if seconds := last.at.Sub(first.at).Seconds(); seconds > 0 {
		p.ImagesPerSecond = float64(last.images-first.images) / seconds
		if units := last.done - first.done; units > 0 && p.Total > p.Done {
			p.ETASeconds = max(0, float64(p.Total-p.Done)*seconds/float64(units)-time.Since(t.lastUnit).Seconds())
		}
	}
	return p
}
