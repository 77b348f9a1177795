package stage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// newAccelerated is the engine of an accelerator, by the plugin that the image has.
func newAccelerated(o Options, environment checkpoint.Environment) (engine.Engine, checkpoint.Environment, error) {
	accelerator := o.Run.Spec.Accelerator
	plugin := xla.Find(accelerator.Type)
	if plugin == "" {
		return nil, environment, contract.UserErrorf("NoEngine",
			"no engine for %s in this image: it trains on CPU only; set accelerator.type to CPU, or template.image to an image that has one", accelerator.Type)
	}
	x := xla.Options{Plugin: plugin, Devices: plan.WorkerDevices(accelerator), Cache: filepath.Join(o.Output, contract.CompiledDir), Log: o.Log}
	e, err := xla.New(x)
	if err != nil {
		return nil, environment, acceleratedError(err)
	}
	info := e.Info()
	if err := checkTopology(accelerator, info.Devices); err != nil {
		return nil, environment, errors.Join(err, e.Close())
	}
	environment.ISA, environment.Libraries = info.Platform, map[string]string{"PJRT": info.Version}
	return e, environment, nil
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

// Accelerators writes a line for each plugin that is here: what it drives. An error is that of a plugin that is here and
// cannot serve.
func Accelerators(w io.Writer) error {
	seen := map[string]bool{"": true}
	for _, accelerator := range []v1alpha1.AcceleratorType{v1alpha1.NvidiaGPU, v1alpha1.TPU} {
		plugin := xla.Find(accelerator)
		if seen[plugin] {
			continue
		}
		seen[plugin] = true
		e, err := xla.New(xla.Options{Plugin: plugin})
		if err != nil {
			return acceleratedError(err)
		}
		info := e.Info()
		_, err = fmt.Fprintf(w, "%s  engine %s  devices %d  PJRT %s  plugin %s\n", info.Platform, e.Name(), info.Devices, info.API, plugin)
		if err := errors.Join(err, e.Close()); err != nil {
			return err
		}
	}
	return nil
}
