// Package xlatest gives tests XLA's backend for CPUs, which `make pjrt` fetches.
package xlatest

import (
	"os"
	"os/exec"
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

// Twins are two plugins that stand in for those of two processes, of two devices each: ../testdata/twin.c over QuickPlugin.
func Twins(t testing.TB) [2]string {
	t.Helper()
	return [2]string{compiled(t, "twin.c"), compiled(t, "twin.c")} // each has variables of its own
}

// Limited is a plugin that stands in for one whose devices say what memory they have: ../testdata/limited.c over QuickPlugin.
func Limited(t testing.TB) string {
	t.Helper()
	return compiled(t, "limited.c")
}

// compiled is a plugin of that file of ../testdata, which stands in for QuickPlugin.
func compiled(t testing.TB, source string) string {
	t.Helper()
	t.Setenv("STANDIN_OF", QuickPlugin(t))
	_, file, _, _ := runtime.Caller(0)
	xla, so := filepath.Join(filepath.Dir(file), ".."), filepath.Join(t.TempDir(), "plugin.so")
	if out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-I", xla, "-o", so,
		filepath.Join(xla, "testdata", source), "-ldl", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return so
}

// QuickPlugin is Plugin, of which programs compile in half the time; convolutions are the library's either way. The plugin reads
// that once.
func QuickPlugin(t testing.TB) string {
	t.Helper()
	t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")
	return Plugin(t)
}
