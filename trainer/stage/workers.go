package stage

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
)

// Several workers pretrain together. Worker 0 alone opens the output, evaluates, exports and tells progress: so the
// output need not be mounted by the others. The later stages take minutes on one worker, and one has no use for others:
// they end at once.

// rank of this worker.
func (o Options) rank() int {
	if o.Workers == nil {
		return 0
	}
	return o.Workers.Rank
}

// joint: several workers do this stage together.
func (o Options) joint() bool {
	return o.Workers != nil && o.Stage == v1alpha1.StagePretrain && o.Run.Spec.Pretraining.From == nil
}

// together does the stage with the other workers. Where one of them is lost this one's context ends; what does not heed that in
// time, such as a long step, is abandoned.
func (o Options) together(ctx context.Context, f func(context.Context, collective.Collective) (*contract.TerminationMessage, error)) (*contract.TerminationMessage, error) {
	if !o.joint() {
		return f(ctx, collective.Single{})
	}
	c := *o.Workers
	c.Run, c.Stage, c.Attempt = string(o.Run.UID), o.Stage, o.Attempt
	c.Units, c.Alive, c.Log = o.Tracker.Units, o.Tracker.Waiting, o.Log
	g, err := collective.Connect(ctx, c)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-ended:
			return
		case <-g.Failed():
			cancel(g.Err())
		}
		select {
		case <-ended:
		case <-time.After(abandonTime):
			if o.Abandon != nil {
				o.Abandon(g.Err())
			}
		}
	})
	m, err := f(within, g)
	close(ended)
	watch.Wait()
	if err = o.firstCause(err, g); err != nil {
		g.Fail(err) // the others are told why
	}
	_ = g.Close() // it gives no error
	return m, err
}

// firstCause of an error: that another worker was lost, where this one's end follows from it.
func (o Options) firstCause(err error, g *collective.Group) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
	case oneProgram(&o.Run.Spec, g.Size()) && contract.ExitCode(err) == contract.ExitDevice:
		// a program of all workers fails on each where one is lost, and the devices may know before the group does
		select {
		case <-g.Failed():
		case <-time.After(abandonTime):
		}
	default:
		return err
	}
	if failed := g.Err(); failed != nil {
		return failed
	}
	return err
}

// abandonTime is how long a worker may take to end once another is lost: with the 22 seconds that it takes to know that at most, less
// than the half minute of the contract.
const abandonTime = 6 * time.Second

// begin opens the output and looks whether the stage is done; the other workers learn it from worker 0. The message is nil where
// there is something to do.
func (o Options) begin(ctx context.Context, workers collective.Collective, hash string) (*contract.TerminationMessage, error) {
	var done *contract.TerminationMessage
	told := []byte("begin")
	if workers.Rank() == 0 {
		if err := checkpoint.OpenOutput(o.Output, o.Run.Name, hash); err != nil {
			return nil, err
		}
		var err error
		if done, err = checkpoint.LoadResult(o.Output, o.Stage); err != nil {
			return nil, err
		}
		if done != nil {
			told = []byte("done")
		}
	}
	told, err := workers.Broadcast(ctx, told)
	if err != nil {
		return nil, err
	}
	if workers.Rank() > 0 && string(told) == "done" {
		return o.nothing("worker 0 has its result"), nil
	}
	return done, nil
}

// nothing is the message of a worker with nothing to do, or nothing to tell.
func (o Options) nothing(why string) *contract.TerminationMessage {
	o.Log.Info("done", "why", why)
	m := o.Tracker.Termination(nil)
	return &m
}

// checkData is a user error where workers train on other data, or by another plan: then no gradient would be right.
func (r *runner) checkData(ctx context.Context) error {
	if r.workers.Size() == 1 {
		return nil
	}
	own := []float32{float32(r.data.train.Len() >> 12), float32(r.data.train.Len() & (1<<12 - 1))} // exact
	for _, b := range r.fingerprint() {
		own = append(own, float32(b))
	}
	all, err := r.workers.AllGather(ctx, own)
	if err != nil {
		return err
	}
	images := func(f []float32) int { return int(f[0])<<12 + int(f[1]) }
	for rank, f := range all {
		if !slices.Equal(f, all[0]) {
			return contract.UserErrorf("WorkersDiffer", "worker 0 has %d training images and worker %d has %d, or they have other labels or another spec; give all workers the same run and the same dataset", images(all[0]), rank, images(f))
		}
	}
	return nil
}

// fingerprint of what all workers must agree on.
func (r *runner) fingerprint() []byte {
	h := sha256.New()
	h.Write([]byte(r.hash))
	var b []byte
	for _, n := range []int{r.stage.Batch, r.stage.Workers, r.stage.MicroBatch, int(r.stage.TotalSteps)} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	for i := range r.data.train.Len() {
		b = binary.LittleEndian.AppendUint32(b, uint32(r.data.train.Label(i)))
	}
	h.Write(b)
	return h.Sum(nil)
}
