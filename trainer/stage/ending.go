package stage

import (
	"context"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/report"
)

// The devices of workers that are one program stay connected, by NCCL or ICI, until each worker has closed its client, and those
// that are left may mind one that goes: NCCL's communicators are to be ended by all of their ranks
// (https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html, Destroying a communicator). So all go together.
// While worker 0 evaluates and exports, on its own devices, the others wait for it, in a read, with their heartbeats going; when its result is
// stored all close their clients at the same time, and no process ends before all have. So do workers that were stopped, when worker 0
// has saved. Where a worker fails instead, or is lost, nobody closes anything: that could wait for the one that is gone, and the end of the
// process gives the devices back.

// closeTime is how long a client may take to close, and half of what a worker waits for the others'. Less than abandonTime, so that
// who has done its work is not ended for another that is lost meanwhile.
const closeTime = 5 * time.Second

// joined says that this worker's devices are one program with those of others.
func (r *runner) joined() bool { return r.engine != nil && engine.Processes(r.engine) > 1 }

// finished is called where a worker has done its part. The others wait for worker 0, which does not need them any more: that one of them is
// lost when it has its result is no error.
func (r *runner) finished(ctx context.Context) error {
	switch {
	case !r.joined():
	case r.workers.Rank() > 0:
		r.Tracker.Begin(report.Evaluating, 0)
		r.Log.Info("waiting for worker 0, which evaluates and exports")
		return r.workers.Barrier(ctx)
	default:
		r.meet()
	}
	return nil
}

// meet the others, for some time.
func (r *runner) meet() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*closeTime)
	defer cancel()
	if err := r.workers.Barrier(ctx); err != nil {
		r.Log.Warn("a worker is gone before all have ended", "error", err.Error())
		r.parted = true
	}
}

// end closes the devices.
func (r *runner) end(err error) {
	if !r.joined() {
		r.close()
		return
	}
	if r.parted || err != nil && !r.agreed {
		return
	}
	closed := make(chan error, 1)
	begun := time.Now()
	go func() { closed <- r.engine.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			r.Log.Warn("closing the devices", "error", err.Error())
		}
		r.Log.Info("the devices are closed", "seconds", time.Since(begun).Seconds())
	case <-time.After(closeTime):
		r.Log.Warn("the devices are not closed in time; they are by the end of this process", "seconds", closeTime.Seconds())
	}
	r.meet()
}

func (r *runner) close() {
	if r.engine != nil {
		_ = r.engine.Close() // the process ends next
	}
}
