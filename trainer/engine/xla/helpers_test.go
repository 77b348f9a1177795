package xla

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// newEngine of so many virtual devices of XLA's backend for CPUs; or, where SIMCLR_PJRT_PLUGIN names another plugin (make check-gpu),
// of an accelerator's, which is not asked for more than there are.
func newEngine(t testing.TB, devices int, float64s bool) *Engine {
	t.Helper()
	o := Options{Devices: devices, Float64: float64s}
	o.Plugin = os.Getenv(contract.EnvPlugin)
	accelerator := o.Plugin != ""
	switch {
	case strings.Contains(o.Plugin, "cuda"):
		o.Client = map[string]any{"memory_fraction": float32(0.2)} // of a GPU's memory, taken at once: a test may have two engines
	case !accelerator:
		o.Plugin, o.Client = xlatest.QuickPlugin(t), map[string]any{"cpu_device_count": int64(devices)}
	}
	e, err := New(o)
	if lacking, ok := errors.AsType[*DeviceError](err); ok && accelerator && devices > 1 {
		t.Skip(lacking)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}
