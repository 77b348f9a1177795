package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// What devices say of their memory is listed, and where a step does not fit, the batch that does is told by it, whatever a product of that name
// has. Where none says, half of the batch may.
func TestWhatDevicesSayOfTheirMemory(t *testing.T) {
	t.Setenv(contract.EnvPlugin, xlatest.Limited(t))
	t.Setenv("LIMITED_FULL", "1")
	images := generated(t, 4, 16, 4)
	run := write(t, filepath.Join(t.TempDir(), "run.yaml"), strings.Replace(spec, "batchSize: 8", "batchSize: 64", 1)+pretrainOnly+
		"  accelerator: {type: NvidiaGPU, product: NVIDIA-H200, devicesPerWorker: 2, augmentations: Host}\n")
	for name, tc := range map[string]struct {
		limits, devices string
		advice          []string
	}{
		"4 MiB":   {"4194304,4194304,4194304,4194304", "devices 4  memory for programs 0.0 GiB each  PJRT", []string{"of which a device has 4 MiB for programs and it needs", "set pretraining.microBatchSize to 8,"}},
		"nothing": {"!", "devices 4  PJRT", []string{"the accelerator's memory: set pretraining.microBatchSize to 32,"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LIMITED_BYTES", tc.limits)
			trainer(t, "devices").wants(t, contract.ExitDone, tc.devices)
			trainer(t, "run", "-f", run, "--dataset", images, "-o", t.TempDir()).wants(t, contract.ExitUserError, tc.advice...)
		})
	}
	t.Setenv("LIMITED_BYTES", "150323855360,136365211648,150323855360,150323855360")
	trainer(t, "devices").wants(t, contract.ExitDone, "devices 4  memory for programs 127.0 GiB each  PJRT")
}
