package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// asking is XLA's CPU backend, but that it writes, when it is loaded and when it makes a client, what C's getenv gives it.
const asking = `#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "pjrt_c_api.h"
static const PJRT_Api *real;
static PJRT_Api api;
static void ask(const char *when) {
	FILE *f = fopen(getenv("ASKING_FILE"), "a");
	char names[] = "TPU_WORKER_ID TPU_WORKER_HOSTNAMES TPU_HOST_BOUNDS TPU_PROCESS_BOUNDS TPU_CHIPS_PER_HOST_BOUNDS TPU_TOPOLOGY TPU_PROCESS_ADDRESSES TPU_SKIP_MDS_QUERY";
	for (char *n = strtok(names, " "); n; n = strtok(NULL, " ")) fprintf(f, "%s %s=%s\n", when, n, getenv(n) ? getenv(n) : "(none)");
	fclose(f);
}
__attribute__((constructor)) static void loaded(void) { ask("loaded"); }
static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	ask("client");
	return real->PJRT_Client_Create(a);
}
const PJRT_Api *GetPjrtApi(void) {
	const PJRT_Api *(*get)(void) = dlsym(dlopen(getenv("ASKING_PLUGIN"), RTLD_NOW | RTLD_LOCAL), "GetPjrtApi");
	real = get();
	api = *real;
	api.PJRT_Client_Create = create;
	return &api;
}`

// A process that trains by itself on a host of a TPU slice of several sees, in the C of its plugin, its host alone, whatever its container
// was told: here what GKE's device plugin tells, and a webhook of several pods.
func TestThePluginSeesOneHost(t *testing.T) {
	useCPUPlugin(t)
	t.Setenv("ASKING_PLUGIN", os.Getenv(contract.EnvPlugin))
	t.Setenv(contract.EnvPlugin, compiled(t, asking))
	images := generated(t, 4, 16, 4)
	told := map[string]string{
		"TPU_WORKER_ID": "3", "TPU_WORKER_HOSTNAMES": "a,b,c,d", "TPU_HOST_BOUNDS": "2,2,1", "TPU_CHIPS_PER_HOST_BOUNDS": "2,2,1", "TPU_TOPOLOGY": "4x4",
		"TPU_ACCELERATOR_TYPE": "v6e-16", "TPU_PROCESS_ADDRESSES": "a:8476,b:8476", "TPU_SKIP_MDS_QUERY": "true",
	}
	for name, value := range told {
		t.Setenv(name, value)
	}
	const one = " TPU_WORKER_ID=0 TPU_WORKER_HOSTNAMES=localhost TPU_HOST_BOUNDS=1,1,1 TPU_PROCESS_BOUNDS=1,1,1 TPU_CHIPS_PER_HOST_BOUNDS=2,2,1 TPU_TOPOLOGY=2x2 TPU_PROCESS_ADDRESSES=(none) TPU_SKIP_MDS_QUERY=true"
	for name, tc := range map[string]struct {
		arguments  func(t *testing.T) []string
		want, says string
	}{
		"a stage": {func(t *testing.T) []string {
			text := strings.Replace(spec, "batchSize: 8", "batchSize: 16", 1) + pretrainOnly + "  accelerator: {type: TPU, generation: v6e, topology: 4x4}\n"
			return []string{"run", "-f", write(t, filepath.Join(t.TempDir(), "run.yaml"), text), "--dataset", images, "-o", t.TempDir()}
		}, one, ""},
		"devices": {func(*testing.T) []string { return []string{"devices"} }, one, "cpu  engine xla  devices 4"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "asked")
			t.Setenv("ASKING_FILE", file)
			trainer(t, tc.arguments(t)...).wants(t, contract.ExitDone, tc.says)
			var want []string
			for _, when := range []string{"loaded", "client"} {
				for _, v := range strings.Fields(tc.want) {
					want = append(want, when+" "+v)
				}
			}
			got := strings.Split(strings.TrimSpace(read(t, file)), "\n")
			if diff := cmp.Diff(want, got[:min(len(got), len(want))]); diff != "" { // each stage makes a client
				t.Errorf("what C sees (-want +got):\n%s", diff)
			}
		})
	}
}
