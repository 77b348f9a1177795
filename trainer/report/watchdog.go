package report

import (
	"context"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Watch sends one error, of exit code 15, when no unit of work was finished within limit; it stops with
// its context and closes the channel. The unit that is being worked on may take that long: a step, a block of images.
func Watch(ctx context.Context, t *Tracker, limit time.Duration) <-chan error {
	out := make(chan error, 1)
	go func() {
		defer close(out)
		tick := time.NewTicker(max(limit/10, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if p := t.Progress(); p.SinceLastUnitSeconds > limit.Seconds() {
				out <- contract.Errorf(contract.ExitStalled, "Stalled", "phase %s: nothing was finished for %.0f seconds (%d of %d, step %d)",
					p.Phase, p.SinceLastUnitSeconds, p.Done, p.Total, p.Step)
				return
			}
		}
	}()
	return out
}
