package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// accelerated is a spec on an accelerator's devices.
func accelerated(spec string) string {
	return spec + "  accelerator: {type: NvidiaGPU, devicesPerWorker: 2}\n"
}

// useCPUPlugin lets XLA's CPU backend, which make pjrt fetches, with its four virtual devices stand in for an accelerator.
func useCPUPlugin(t *testing.T) {
	t.Helper()
	t.Setenv(contract.EnvPlugin, xlatest.QuickPlugin(t))
}

// A run that was stopped on the CPU continues on an accelerator, and all its stages run there.
func TestRunMovesToAnAccelerator(t *testing.T) {
	useCPUPlugin(t)
	images := photographs(t, longImages, 8)
	out, file := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "run.yaml")
	text := spec + "  checkpoint: {intervalSeconds: 1}\n  knn: {mode: Enabled}\n" +
		strings.NewReplacer("pretraining: {epochs: 1}", "pretraining: {epochs: 3}", "name: half,", "name: half, batchSize: 7,").Replace(shortStages) // seconds, on a fast CPU too
	commandLine := []string{"run", "-f", write(t, file, text), "--dataset", images, "-o", out, "--threads", "2"}
	stopWithin(t, out, "pretrain", syscall.SIGTERM, commandLine...).wants(t, contract.ExitTerminate)
	write(t, file, accelerated(text))
	trainer(t, commandLine...).wants(t, contract.ExitDone, "pretrain  goes on from step", "equal to rounding",
		"warning: batchSize 7 cannot be shared by 2 devices, so that each computes all of it; set that of half to a multiple of them")
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
		"no such file":      {"/no/plugin.so", "", contract.ExitUserError, "PJRT plugin /no/plugin.so: no such file"},
		"no plugin":         {program, "", contract.ExitUserError, "it is no PJRT plugin"},
		"another version":   {otherVersion(t), "", contract.ExitUserError, "it speaks version 1.0 of PJRT's C interface, this program 0.90 or newer"},
		"another topology":  {os.Getenv(contract.EnvPlugin), "  accelerator: {type: TPU, generation: v6e, topology: 1x1, devicesPerWorker: 1}\n", contract.ExitDevice, "accelerator.topology 1x1 has 1 devices on a host, and 4 are there"},
		"an odd batch":      {os.Getenv(contract.EnvPlugin), "  accelerator: {type: NvidiaGPU, devicesPerWorker: 3}\n", contract.ExitUserError, "must be a multiple of workers × accelerator.devicesPerWorker"},
		"too few devices":   {os.Getenv(contract.EnvPlugin), "  accelerator: {type: NvidiaGPU, devicesPerWorker: 8}\n", contract.ExitDevice, "4 devices are there, 8 are wanted"},
		"a chip's cores":    {os.Getenv(contract.EnvPlugin), "  accelerator: {type: TPU, generation: v3, topology: 2x2, devicesPerWorker: 4}\n", contract.ExitDevice, "4 devices are there, 8 are wanted"},
		"views without one": {os.Getenv(contract.EnvPlugin), "  accelerator: {augmentations: Accelerator}\n", contract.ExitUserError, "accelerator.augmentations: Accelerator is not for type CPU; set it to Host, or remove it"},
		"none in an image":  {"", "", contract.ExitUserError, "no engine for NvidiaGPU in this image"},
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

// compiled is a plugin of that source.
func compiled(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	library, file := filepath.Join(dir, "plugin.so"), write(t, filepath.Join(dir, "plugin.c"), source)
	if out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-I../../trainer/engine/xla", "-o", library, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return library
}

// otherVersion is a plugin of a version that this program does not speak, none of whose functions can be called.
func otherVersion(t *testing.T) string {
	return compiled(t, `#include <stddef.h>
#include "pjrt_c_api.h"
static PJRT_Api api = {.struct_size = sizeof api, .pjrt_api_version = {.major_version = 1}};
const PJRT_Api *GetPjrtApi(void) { return &api; }`)
}

// losing is a plugin whose devices are lost at the execution of that number: XLA's CPU backend, but for that.
const losing = `#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
#include "pjrt_c_api.h"
static const PJRT_Api *real;
static PJRT_Api api;
static PJRT_Client *client;
static int left;
static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	PJRT_Error *e = real->PJRT_Client_Create(a);
	client = a->client;
	return e;
}
static PJRT_Error *execute(PJRT_LoadedExecutable_Execute_Args *a) {
	usleep(20000); // so that there is a checkpoint by then
	if (left-- > 0) return real->PJRT_LoadedExecutable_Execute(a);
	PJRT_Client_LookupDevice_Args lost = {.struct_size = PJRT_Client_LookupDevice_Args_STRUCT_SIZE, .client = client, .id = 1 << 20};
	return real->PJRT_Client_LookupDevice(&lost); // an error of the plugin's own
}
const PJRT_Api *GetPjrtApi(void) {
	const PJRT_Api *(*get)(void) = dlsym(dlopen(getenv("LOSING_PLUGIN"), RTLD_NOW | RTLD_LOCAL), "GetPjrtApi");
	real = get();
	api = *real;
	api.PJRT_Client_Create = create;
	api.PJRT_LoadedExecutable_Execute = execute;
	left = atoi(getenv("LOSING_AFTER"));
	return &api;
}`

// A device that is lost while it trains is no mistake of the user's: the exit code says so, and with other devices the run goes on
// from its checkpoint.
func TestADeviceIsLost(t *testing.T) {
	useCPUPlugin(t)
	plugin, dir := os.Getenv(contract.EnvPlugin), t.TempDir()
	wrapped := compiled(t, losing)
	images, out := generated(t, 4, 16, 4), filepath.Join(dir, "out")
	file := write(t, filepath.Join(dir, "run.yaml"), accelerated(spec+"  checkpoint: {intervalSeconds: 1}\n"+strings.Replace(pretrainOnly, "epochs: 1", "epochs: 30", 1)))
	commandLine := []string{"run", "-f", file, "--dataset", images, "-o", out}
	t.Setenv("LOSING_PLUGIN", plugin)
	t.Setenv("LOSING_AFTER", "150")
	t.Setenv(contract.EnvPlugin, wrapped)
	trainer(t, commandLine...).wants(t, contract.ExitDevice, "devices of "+wrapped+": a program failed")
	t.Setenv(contract.EnvPlugin, plugin)
	trainer(t, commandLine...).wants(t, contract.ExitDone, "pretrain  goes on from step")
}

func TestDevicesListsPlugins(t *testing.T) {
	useCPUPlugin(t)
	trainer(t, "devices").wants(t, contract.ExitDone, "CPU  engine cpu", "cpu  engine xla  devices 4  PJRT 0.115  plugin "+os.Getenv(contract.EnvPlugin))
}
