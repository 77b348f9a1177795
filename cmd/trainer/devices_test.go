package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// deviceless is a plugin that can drive none of what is here.
const deviceless = `#include <dlfcn.h>
#include <stdlib.h>
#include "pjrt_c_api.h"
static const PJRT_Api *real;
static PJRT_Api api;
static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	PJRT_NamedValue none = {.struct_size = PJRT_NamedValue_STRUCT_SIZE, .name = "no_device_here", .name_size = 14,
		.type = PJRT_NamedValue_kInt64, .value_size = 1};
	a->create_options = &none;
	a->num_options = 1;
	return real->PJRT_Client_Create(a); // an error of the plugin's own
}
const PJRT_Api *GetPjrtApi(void) {
	const PJRT_Api *(*get)(void) = dlsym(dlopen(getenv("DEVICELESS_PLUGIN"), RTLD_NOW | RTLD_LOCAL), "GetPjrtApi");
	real = get();
	api = *real;
	api.PJRT_Client_Create = create;
	return &api;
}`

// Where there is no device, or a plugin that cannot serve, `devices` and a stage say so with the same words and codes.
func TestNoDevices(t *testing.T) {
	useCPUPlugin(t)
	t.Setenv("DEVICELESS_PLUGIN", os.Getenv(contract.EnvPlugin))
	images := generated(t, 2, 8, 4)
	run := write(t, filepath.Join(t.TempDir(), "run.yaml"), accelerated(spec+pretrainOnly))
	for name, tc := range map[string]struct {
		plugin string
		code   int
		want   string
	}{
		"no device":       {compiled(t, deviceless), contract.ExitDevice, "none can be used: the node needs one, with a driver that is new enough, and the pod has to ask for it"},
		"no plugin":       {"/no/plugin.so", contract.ExitUserError, "PJRT plugin /no/plugin.so: no such file; set template.image to an image for accelerator.type, or SIMCLR_PJRT_PLUGIN to the plugin's file"},
		"another version": {otherVersion(t), contract.ExitUserError, "it speaks version 1.0 of PJRT's C interface, this program 0.90 or newer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(contract.EnvPlugin, tc.plugin)
			trainer(t, "devices").wants(t, tc.code, tc.want)
			trainer(t, "run", "-f", run, "--dataset", images, "-o", t.TempDir()).wants(t, tc.code, tc.want)
		})
	}
}
