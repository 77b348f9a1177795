package stage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// ConfigHash is the digest of what a resolved spec says of the mathematics. Where and when a run is
// placed, on how many workers, with which credentials, how often it saves and how often it is tried again leave it as it is.
func ConfigHash(s *v1alpha1.SimCLRRunSpec) (string, error) {
	c := s.DeepCopy()
	c.Accelerator, c.Checkpoint, c.Output = v1alpha1.AcceleratorSpec{}, v1alpha1.CheckpointSpec{}, v1alpha1.OutputSpec{}
	c.RestartPolicy, c.Template, c.Suspend, c.Workers = v1alpha1.RestartPolicy{}, v1alpha1.PodTemplate{}, nil, nil
	c.Dataset.Credentials, c.Dataset.CABundle = nil, nil
	if c.Evaluation != nil {
		c.Evaluation.Dataset.Credentials, c.Evaluation.Dataset.CABundle = nil, nil
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("hashing the configuration: %w", err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

// newEngine is the engine for an accelerator, and what bit-identical resuming depends on.
func newEngine(ctx context.Context, o Options, workers collective.Collective) (engine.Engine, checkpoint.Environment, error) {
	environment := checkpoint.Environment{Threads: o.Threads}
	if o.Run.Spec.Accelerator.Type != v1alpha1.CPU {
		return newAccelerated(ctx, o, workers, environment)
	}
	if o.Engine == "interp" {
		environment.Threads, environment.ISA = 1, "float64"
		return interp.Engine{}, environment, nil
	}
	if o.Engine != "cpu" {
		return nil, environment, contract.UserErrorf("NoEngine", "no engine %q in this image; it has cpu", o.Engine)
	}
	var options []cpu.Option
	if o.Run.Spec.Pretraining.Convolutions == v1alpha1.Direct {
		options = append(options, cpu.Direct)
	}
	e, err := cpu.New(o.Threads, options...)
	if err != nil {
		return nil, environment, fmt.Errorf("starting the cpu engine: %w", err)
	}
	info := e.Info()
	environment.ISA, environment.Libraries = info.ISA, map[string]string{"oneDNN": info.OneDNN}
	return e, environment, nil
}

// fitting gives an engine's error the contract's code: memory that is not there is the user's to mend, by
// the batch size that fits what there was.
func (r *runner) fitting(err error) error {
	if accelerated := acceleratedError(err); accelerated != nil {
		return accelerated
	}
	if memory, ok := errors.AsType[*xla.OutOfMemoryError](err); ok {
		r.Log.Error("out of the accelerator's memory", "error", err.Error())
		return r.stage.DeviceOutOfMemory(memory, memory.Needs, cmp.Or(memory.Has, r.deviceMemory()))
	}
	if memory, ok := errors.AsType[*cpu.OutOfMemoryError](err); ok {
		r.Log.Error("out of memory", "error", err.Error())
		return r.stage.OutOfMemory(memory.Had)
	}
	if errors.Is(err, cpu.ErrNoBF16) {
		return contract.UserErrorf("NoEngine", "%v", err)
	}
	return err
}

// deviceMemory is what a device of the accelerator has for programs by its name, for where its plugin does not say; 0: not known.
// Unit: bytes.
func (r *runner) deviceMemory() int64 {
	a, err := plan.Accelerate(r.spec)
	if a == nil || err != nil {
		return 0
	}
	return a.Chip.Usable
}
