package xla

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// newEngine of so many virtual devices.
func newEngine(t testing.TB, devices int, float64s bool) *Engine {
	t.Helper()
	e, err := New(Options{Plugin: xlatest.QuickPlugin(t), Devices: devices, Float64: float64s, Client: map[string]any{"cpu_device_count": int64(devices)}})
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
