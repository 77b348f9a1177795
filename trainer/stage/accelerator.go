package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// oneProgram says that workers with accelerators are one XLA program: where batch norm is over the images of all. Else each worker's
// devices are one, and what workers exchange goes through their hosts.
func oneProgram(s *v1alpha1.SimCLRRunSpec, workers int) bool {
	return workers > 1 && s.Accelerator.Type != v1alpha1.CPU && s.Pretraining.BatchNormStatistics == v1alpha1.BatchNormGlobal
}

// joined makes an engine's options those of one of several workers that are one program. XLA's client for GPUs finds the others by the
// workers' store, that for TPUs by the variables that the slice's hosts are given. The context ends that, until found is called: in the
// first steps NCCL asks the store, too, and a step that has begun is not given up by one worker.
func joined(ctx context.Context, x *xla.Options, accelerator v1alpha1.AcceleratorType, workers collective.Collective) (found func(), err error) {
	g, ok := workers.(interface{ KeyValues() collective.KeyValues })
	if !ok {
		return nil, fmt.Errorf("the %d workers have no store by which one program's could find each other", workers.Size())
	}
	asking, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	x.Processes = &xla.Processes{Rank: workers.Rank(), Size: workers.Size(), Store: g.KeyValues(), Context: asking}
	if accelerator == v1alpha1.NvidiaGPU {
		x.Client = x.Processes.GPUOptions()
	}
	return func() { ended() }, nil
}

// newAccelerated is the engine of an accelerator, by the plugin that the image has.
func newAccelerated(ctx context.Context, o Options, workers collective.Collective, environment checkpoint.Environment) (engine.Engine, checkpoint.Environment, error) {
	accelerator := o.Run.Spec.Accelerator
	plugin := xla.Find(accelerator.Type)
	if plugin == "" {
		return nil, environment, contract.UserErrorf("NoEngine",
			"no engine for %s in this image: it trains on CPU only; set accelerator.type to CPU, or template.image to an image that has one", accelerator.Type)
	}
	x := xla.Options{Plugin: plugin, Devices: plan.WorkerDevices(accelerator), Share: memoryShare(accelerator.Type), Cache: filepath.Join(o.Output, contract.CompiledDir), Log: o.Log}
	found := func() {}
	if oneProgram(&o.Run.Spec, workers.Size()) {
		var err error
		if found, err = joined(ctx, &x, accelerator.Type, workers); err != nil {
			return nil, environment, err
		}
	} else if x.Environment = oneHost(accelerator); x.Environment != nil {
		set, removed := told(x.Environment)
		o.Log.Info("libtpu is told of this host of the slice alone", "set", set, "removed", removed)
	}
	if o.accelerated != nil {
		o.accelerated(&x)
	}
	e, err := xla.New(x)
	found()
	if err != nil {
		return nil, environment, stopped(ctx, acceleratedError(err))
	}
	info := e.Info()
	if err := checkTopology(accelerator, info.Devices); err != nil {
		return nil, environment, errors.Join(err, e.Close())
	}
	environment.ISA, environment.Libraries = info.Platform, map[string]string{"PJRT": info.Version}
	return e, environment, nil
}

// memoryShare is what the trainer takes of the devices' memory; 0: what the plugin takes.
func memoryShare(accelerator v1alpha1.AcceleratorType) float32 {
	if accelerator == v1alpha1.NvidiaGPU {
		return plan.GPUShare
	}
	return 0
}

// checkTopology is an error where a host of the TPU slice has more devices than the topology says: then the node is of another one,
// and some chips would do nothing. Fewer are the engine's to tell.
func checkTopology(a v1alpha1.AcceleratorSpec, devices int) error {
	want := plan.WorkerDevices(a)
	if a.Type != v1alpha1.TPU || want == 0 || devices <= want {
		return nil
	}
	return contract.Errorf(contract.ExitDevice, "DeviceFailed", "accelerator.topology %s has %d devices on a host, and %d are there: the node is of another topology; set accelerator.topology to that of its slice",
		a.Topology, want, devices)
}

// acceleratedError gives an error of an accelerator the contract's code; nil where it is none.
func acceleratedError(err error) error {
	if _, ok := errors.AsType[*xla.PluginError](err); ok {
		return contract.UserErrorf("NoEngine", "%w; set template.image to an image for accelerator.type, or "+contract.EnvPlugin+" to the plugin's file", err)
	}
	if _, ok := errors.AsType[*xla.DeviceError](err); ok {
		return contract.Errorf(contract.ExitDevice, "DeviceFailed", "%w", err)
	}
	if errors.Is(err, emit.ErrSeveralWorkers) {
		return contract.UserErrorf("NoEngine", "%w", err)
	}
	return nil
}

// Accelerators writes a line for each plugin that is here: what it drives, and what memory a device of it has for programs, where it says
// so. An error is that of a plugin that is here and cannot serve.
func Accelerators(w io.Writer) error {
	seen := map[string]bool{"": true}
	for _, accelerator := range []v1alpha1.AcceleratorType{v1alpha1.NvidiaGPU, v1alpha1.TPU} {
		plugin := xla.Find(accelerator)
		if seen[plugin] {
			continue
		}
		seen[plugin] = true
		e, err := xla.New(xla.Options{Plugin: plugin, Share: memoryShare(accelerator), Environment: oneHostHere()})
		if err != nil {
			return acceleratedError(err)
		}
		info := e.Info()
		memory := ""
		if info.Memory > 0 {
			memory = fmt.Sprintf("  memory for programs %.1f GiB each", float64(info.Memory)/(1<<30))
		}
		_, err = fmt.Fprintf(w, "%s  engine %s  devices %d%s  PJRT %s  plugin %s\n", info.Platform, e.Name(), info.Devices, memory, info.API, plugin)
		if err := errors.Join(err, e.Close()); err != nil {
			return err
		}
	}
	return nil
}
