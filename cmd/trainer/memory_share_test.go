package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// sharing is XLA's CPU backend, but that it takes the options of XLA's client for GPUs, and writes them to a file.
const sharing = `#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include "pjrt_c_api.h"
static const PJRT_Api *real;
static PJRT_Api api;
static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	FILE *f = fopen(getenv("SHARING_FILE"), "a");
	for (size_t i = 0; i < a->num_options; i++) {
		const PJRT_NamedValue *o = &a->create_options[i];
		if (o->type == PJRT_NamedValue_kFloat) fprintf(f, "%.*s is the float %.4f\n", (int)o->name_size, o->name, o->float_value);
		else if (o->type == PJRT_NamedValue_kBool) fprintf(f, "%.*s is the bool %d\n", (int)o->name_size, o->name, o->bool_value);
		else fprintf(f, "%.*s is another\n", (int)o->name_size, o->name);
	}
	fclose(f);
	a->num_options = 0;
	return real->PJRT_Client_Create(a);
}
const PJRT_Api *GetPjrtApi(void) {
	const PJRT_Api *(*get)(void) = dlsym(dlopen(getenv("SHARING_PLUGIN"), RTLD_NOW | RTLD_LOCAL), "GetPjrtApi");
	real = get();
	api = *real;
	api.PJRT_Client_Create = create;
	return &api;
}`

// A GPU's plugin is told to take 90% of the memory at once, that of a TPU is told nothing. One that does not know these options is asked
// without them, and the log says so: the CPU's, on which the other tests run.
func TestTheShareOfMemoryIsTold(t *testing.T) {
	useCPUPlugin(t)
	t.Setenv("SHARING_PLUGIN", os.Getenv(contract.EnvPlugin))
	t.Setenv(contract.EnvPlugin, compiled(t, sharing))
	images := generated(t, 2, 8, 4)
	for name, tc := range map[string]struct{ accelerator, want string }{
		"GPU": {"{type: NvidiaGPU, devicesPerWorker: 2}", "memory_fraction is the float 0.9000\npreallocate is the bool 1\n"},
		"TPU": {"{type: TPU, generation: v6e, topology: 2x2}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "options")
			t.Setenv("SHARING_FILE", file)
			run := write(t, filepath.Join(t.TempDir(), "run.yaml"), spec+pretrainOnly+"  accelerator: "+tc.accelerator+"\n")
			trainer(t, "run", "-f", run, "--dataset", images, "-o", t.TempDir()).wants(t, contract.ExitDone)
			lines := strings.SplitAfter(read(t, file), "\n")
			slices.Sort(lines) // they are a set
			if got := strings.Join(lines, ""); got != tc.want {
				t.Errorf("options %q, want %q", got, tc.want)
			}
		})
	}
}
