package xla

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// cpuPlugin is XLA's CPU backend: `make pjrt` unpacks it.
func cpuPlugin(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "../../../build/pjrt/pjrt_c_api_cpu_plugin.so")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make pjrt, which fetches XLA's CPU backend for tests", err)
	}
	// half the time to compile; convolutions are the library's either way. The plugin reads it once.
	t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
	return path
}

// newEngine of so many virtual devices.
func newEngine(t testing.TB, devices int, float64s bool) *Engine {
	t.Helper()
	e, err := New(Options{Plugin: cpuPlugin(t), Devices: devices, Float64: float64s, Client: map[string]any{"cpu_device_count": int64(devices)}})
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
