package loop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Several workers make the same steps from the same state. Worker 0 alone has the checkpoints, so the output need not be
// where the others are: it sends them what it begins with, and all save, and stop, where it does.

// alone: there are no other workers.
func (l *Loop) alone() bool { return l.Workers == nil || l.Workers.Size() == 1 }

// images of a step that this worker counts: worker 0 those of all, as it alone tells progress.
func (l *Loop) images() int {
	if l.alone() || l.Workers.Rank() == 0 {
		return l.Stage.Batch
	}
	return 0
}

// stepping is the context of a step. A step of several workers is never given up halfway by one of them: the others
// would wait for it.
func (l *Loop) stepping(ctx context.Context) context.Context {
	if l.alone() {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// stateKey of what worker 0 sends beside tensors.
const stateKey = "state"

// sharedState is where all workers begin.
type sharedState struct {
	Step    int64 `json:"step"`
	Resumed bool  `json:"resumed"`
	extra
}

// begin with the newest checkpoint, where there is one; every worker with worker 0's variables, so that they are the
// same bits also where machines differ.
func (l *Loop) begin(ctx context.Context, t Task) (*state, error) {
	s, err := l.resume(t)
	if err != nil || l.alone() {
		return s, err
	}
	if l.Workers.Rank() == 0 {
		return s, l.send(ctx, t, s)
	}
	return s, l.receive(ctx, t, s)
}

func (l *Loop) send(ctx context.Context, t Task, s *state) error {
	tensors, err := t.Snapshot()
	if err != nil {
		return err
	}
	raw, err := json.Marshal(sharedState{Step: s.step, Resumed: s.saved >= 0, extra: s.extra})
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, tensors, map[string]string{stateKey: string(raw)}); err != nil {
		return err
	}
	_, err = l.Workers.Broadcast(ctx, b.Bytes())
	return err
}

func (l *Loop) receive(ctx context.Context, t Task, s *state) error {
	raw, err := l.Workers.Broadcast(ctx, nil)
	if err != nil {
		return err
	}
	tensors, metadata, err := safetensors.Read(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return fmt.Errorf("worker 0's state: %w", err)
	}
	var shared sharedState
	if err := json.Unmarshal([]byte(metadata[stateKey]), &shared); err != nil {
		return fmt.Errorf("worker 0's state: %w", err)
	}
	if s.step, s.extra = shared.Step, shared.extra; shared.Resumed {
		l.Tracker.Resumed(s.step)
		l.Log.Info("resumed", "from", s.step)
	}
	return t.Restore(tensors)
}

// stopping gives the cause where this worker's context has ended, or another's: all learn of it at the same step. That takes an
// exchange of its own before each step. On the gathering of z, within the step, a stop would have to
// wait for worker 0's evaluation, or lose it.
func (l *Loop) stopping(ctx context.Context) (cause, err error) {
	own := float32(0)
	if ctx.Err() != nil {
		cause = context.Cause(ctx)
		own = float32(contract.ExitCode(cause))
	}
	if l.alone() {
		return cause, nil
	}
	all, err := l.Workers.AllGather(context.WithoutCancel(ctx), []float32{own})
	if err != nil || cause != nil {
		return cause, err
	}
	for rank, code := range all {
		if code[0] != 0 {
			return contract.Errorf(int(code[0]), "Stopped", "worker %d was stopped, and the others with it; what was saved stays, and the run goes on from there", rank), nil
		}
	}
	return nil, nil
}

// saved waits until worker 0 has saved: only then may the others say so with their exit codes, or end it by being stopped.
func (l *Loop) saved() error {
	if l.alone() {
		return nil
	}
	err := l.Workers.Barrier(context.Background())
	if l.Workers.Rank() == 0 {
		return nil // it has, whoever is lost meanwhile
	}
	return err
}

// keep what is trained where another worker is lost. The step that it did not finish has changed nothing here.
func (l *Loop) keep(t Task, s *state, err error) error {
	if contract.ExitCode(err) != contract.ExitPeerLost {
		return err
	}
	if failed := l.save(t, s); failed != nil {
		return errors.Join(err, failed)
	}
	return err
}
