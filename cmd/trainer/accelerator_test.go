package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// accelerated is a spec on an accelerator's devices.
func accelerated(spec string) string {
	return spec + "  accelerator: {type: NvidiaGPU, devicesPerWorker: 2}\n"
}

// useCPUPlugin lets XLA's CPU backend, which make pjrt fetches, with its four virtual devices stand in for an accelerator.
func useCPUPlugin(t *testing.T) {
	t.Helper()
	path, err := filepath.Abs("../../build/pjrt/pjrt_c_api_cpu_plugin.so")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: run make pjrt, which fetches XLA's CPU backend for tests", err)
	}
	t.Setenv(contract.EnvPlugin, path)
	t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=0") // half the time to compile
}

// A run that was stopped on the CPU continues on an accelerator, and all its stages run there.
func TestRunMovesToAnAccelerator(t *testing.T) {
	useCPUPlugin(t)
	images := photographs(t, longImages, 8)
	out, file := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "run.yaml")
	text := spec + "  checkpoint: {intervalSeconds: 1}\n  knn: {mode: Enabled}\n" +
		strings.Replace(shortStages, "pretraining: {epochs: 1}", "pretraining: {epochs: 3}", 1) // seconds, on a fast CPU too
	commandLine := []string{"run", "-f", write(t, file, text), "--dataset", images, "-o", out, "--threads", "2"}
	stopWithin(t, out, "pretrain", syscall.SIGTERM, commandLine...).wants(t, contract.ExitTerminate)
	write(t, file, accelerated(text))
	trainer(t, commandLine...).wants(t, contract.ExitDone, "pretrain  goes on from step", "equal to rounding")
	for _, file := range []string{"encoder/model.safetensors", lastState(t, out, "pretrain"), lastState(t, out, "half")} {
		if len(read(t, filepath.Join(out, file))) == 0 {
			t.Errorf("%s is empty", file)
		}
	}
}

// What is wrong with an accelerator has a message and an exit code.
func TestAcceleratorsThatCannotServe(t *testing.T) {
	useCPUPlugin(t)
	images := generated(t, 2, 8, 4)
	for name, tc := range map[string]struct {
		plugin, more string
		code         int
		want         string
	}{
		"no such file":     {"/no/plugin.so", "", contract.ExitUserError, "PJRT plugin /no/plugin.so: no such file"},
		"no plugin":        {program, "", contract.ExitUserError, "it is no PJRT plugin"},
		"too few devices":  {os.Getenv(contract.EnvPlugin), "  accelerator: {type: NvidiaGPU, devicesPerWorker: 8}\n", contract.ExitDevice, "4 devices are there, 8 are wanted"},
		"none in an image": {"", "", contract.ExitUserError, "no engine for NvidiaGPU in this image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(contract.EnvPlugin, tc.plugin)
			text := accelerated(spec + pretrainOnly)
			if tc.more != "" {
				text = spec + pretrainOnly + tc.more
			}
			file := write(t, filepath.Join(t.TempDir(), "run.yaml"), text)
			trainer(t, "run", "-f", file, "--dataset", images, "-o", t.TempDir()).wants(t, tc.code, tc.want)
		})
	}
}

func TestDevicesListsPlugins(t *testing.T) {
	useCPUPlugin(t)
	trainer(t, "devices").wants(t, contract.ExitDone, "CPU  engine cpu", "cpu  engine xla  devices 4  PJRT 0.115  plugin "+os.Getenv(contract.EnvPlugin))
}
