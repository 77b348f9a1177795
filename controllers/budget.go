package controllers

import (
	"slices"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const (
	// unchargedLimit is how many restarts in a row are made without a charge while no newer checkpoint
	// appears; the one that reaches it is charged, so that a pod that is evicted over and over ends.
	unchargedLimit = 3

	// backoffMax bounds the wait for a charged restart, which doubles from restartPolicy.backoffSeconds on.
	backoffMax = 5 * time.Minute
)

// decision is what becomes of a stage after an attempt.
type decision struct {
	action  action
	charged bool
	next    ledger        // of the next attempt
	delay   time.Duration // of the next attempt, from the end of this one
}

type action int

const (
	actionWait    action = iota // the attempt goes on
	actionFinish                // the stage is complete
	actionFail                  // the run has failed: user error or divergence
	actionExhaust               // the run has failed: no restarts are left
	actionRestart               // make the next attempt
	actionBlock                 // a person must correct the template first
)

// budget is restartPolicy, and what other stages have used of it.
type budget struct {
	max     int32         // charged restarts of the run
	others  int32         // charged restarts of other stages
	backoff time.Duration // before a stage's first charged restart
}

// decide is the restart budget. l led to the attempt that ended with o; checkpoint is the newest step
// that is known to be saved.
func decide(l ledger, o outcome, checkpoint int64, b budget) decision {
	switch o.kind {
	case outcomeRunning:
		return decision{action: actionWait}
	case outcomeDone:
		return decision{action: actionFinish}
	case outcomeFatal:
		return decision{action: actionFail}
	case outcomeNotStarted:
		return decision{action: actionBlock, next: l}
	case outcomeFailed, outcomeLost, outcomeDisrupted: // are tried again
	}
	d := decision{action: actionRestart, charged: o.kind == outcomeFailed, next: l}
	newer := checkpoint > l.checkpointStep
	d.next.checkpointStep = max(checkpoint, l.checkpointStep)
	if newer {
		d.next.unchargedInRow = 0
	}
	if !d.charged {
		d.next.unchargedInRow++
		d.charged = d.next.unchargedInRow >= unchargedLimit
	}
	if d.charged {
		if b.others+l.charged >= b.max {
			return decision{action: actionExhaust, charged: true}
		}
		d.next.charged++
		d.next.unchargedInRow = 0
		d.delay = b.delay(d.next.charged)
	}
	if node := o.failure.Node; node != "" && o.failure.ExitCode != nil &&
		*o.failure.ExitCode == contract.ExitDevice && !slices.Contains(l.avoid, node) {
		d.next.avoid = append(slices.Clone(l.avoid), node)
	}
	return d
}

// delay is the wait before the nth charged restart of a stage.
func (b budget) delay(n int32) time.Duration {
	d := b.backoff
	for i := int32(1); i < n && d < backoffMax; i++ {
		d *= 2
	}
	return min(d, max(backoffMax, b.backoff))
}
