package report

import (
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// vitals are a stage's progress and what only /metrics tells besides.
type vitals struct {
	contract.Progress
	own

	age time.Duration // of the newest checkpoint, or since there could be one
}

// own is what this process did.
type own struct {
	images    int64         // that were trained on
	collapsed bool          // z, at the end of the last epoch
	interval  time.Duration // between two checkpoints; 0: none are made
	saves     int64
	saving    time.Duration
	waiting   time.Duration // for data
}

func (t *Tracker) vitals() vitals {
	v := vitals{Progress: t.Progress()}
	t.mu.Lock()
	defer t.mu.Unlock()
	v.own = t.own
	if t.own.interval > 0 {
		v.age = time.Since(t.saved)
	}
	return v
}

// Checkpoints tells that from now on one is made each interval.
func (t *Tracker) Checkpoints(interval time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own.interval, t.saved = interval, time.Now()
}

// Saved tells of a checkpoint, and how long training stood still for it.
func (t *Tracker) Saved(step int64, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.saved = time.Now()
	t.p.CheckpointStep, t.p.CheckpointSavedAt = step, t.saved.UTC().Format(time.RFC3339)
	t.own.saves++
	t.own.saving += took
}

// Waited tells how long training stood still because its next images were not ready.
func (t *Tracker) Waited(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own.waiting += d
}

// Collapsed tells whether z has collapsed.
func (t *Tracker) Collapsed(yes bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own.collapsed = yes
}
