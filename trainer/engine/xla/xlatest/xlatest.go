// Package xlatest gives tests XLA's backend for CPUs, which `make pjrt` fetches.
package xlatest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Plugin is the backend's file.
func Plugin(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "../../../../build/pjrt/pjrt_c_api_cpu_plugin.so")
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make pjrt, which fetches XLA's CPU backend for tests", err)
	}
	return path
}

// QuickPlugin is Plugin, of which programs compile in half the time; convolutions are the library's either way. The plugin reads
// that once.
func QuickPlugin(t testing.TB) string {
	t.Helper()
	t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
	return Plugin(t)
}
