package stage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// lone is what a process is told that trains by itself on a host with four chips.
func lone(kind, topology string) map[string]string {
	return map[string]string{
		"TPU_WORKER_ID": "0", "CLOUD_TPU_TASK_ID": "0", "TPU_WORKER_HOSTNAMES": "localhost", "TPU_PROCESS_ADDRESSES": "", "TPU_PROCESS_PORT": "",
		"TPU_HOST_BOUNDS": "1,1,1", "HOST_BOUNDS": "1,1,1", "TPU_PROCESS_BOUNDS": "1,1,1",
		"TPU_CHIPS_PER_HOST_BOUNDS": "2,2,1", "CHIPS_PER_HOST_BOUNDS": "2,2,1", "TPU_CHIPS_PER_PROCESS_BOUNDS": "2,2,1",
		"TPU_TOPOLOGY": topology, "TPU_TOPOLOGY_WRAP": "false,false,false", "WRAP": "false,false,false",
		"TPU_TOPOLOGY_ALT": "false", "ALT": "false", "TPU_ACCELERATOR_TYPE": kind, "ENABLE_ICI_RESILIENCY": "",
	}
}

// The variables are those that GKE's device plugin gives to slices of one host (the cases of its util_test.go), and those of libtpu's
// processes. Where the slice has one host nothing is changed.
func TestOneHostOfASlice(t *testing.T) {
	tpu := func(generation, topology string) v1alpha1.AcceleratorSpec {
		return v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: generation, Topology: topology}
	}
	given := tpu("v6e", "4x4")
	given.DevicesPerWorker = new(int32(4))
	for name, tc := range map[string]struct {
		a    v1alpha1.AcceleratorSpec
		want map[string]string
	}{
		"v3":               {tpu("v3", "8x8"), lone("v3-8", "2x2")},
		"v4":               {tpu("v4", "4x4x8"), lone("v4-8", "2x2x1")},
		"v5e":              {tpu("v5e", "16x16"), lone("v5litepod-4", "2x2")},
		"v5p":              {tpu("v5p", "2x2x2"), lone("v5p-8", "2x2x1")},
		"v6e":              {tpu("v6e", "4x4"), lone("v6e-4", "2x2")},
		"chips are given":  {given, lone("v6e-4", "2x2")},
		"one host of 8":    {tpu("v6e", "2x4"), nil},
		"one host of 4":    {tpu("v5p", "2x2x1"), nil},
		"one chip":         {tpu("v5e", "1x1"), nil},
		"GPUs":             {v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: new(int32(4))}, nil},
		"no such topology": {tpu("v6e", "4"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, oneHost(tc.a)); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
		})
	}
}

// someWorkers are so many, of which only the number matters.
type someWorkers struct {
	collective.Single
	size int
}

func (w someWorkers) Size() int { return w.size }

func (someWorkers) KeyValues() collective.KeyValues { return collective.KeyValues{} }

// A worker of a program that all workers are sees the slice, one that trains by itself its host alone.
func TestWhoSeesItsHostAlone(t *testing.T) {
	t.Setenv(contract.EnvPlugin, xlatest.QuickPlugin(t))
	for name, tc := range map[string]struct {
		workers    int
		statistics v1alpha1.BatchNormStatistics
		topology   string
		want       bool
	}{
		"one worker, such as a later stage's": {1, v1alpha1.BatchNormGlobal, "4x4", true},
		"workers that are one program":        {4, v1alpha1.BatchNormGlobal, "4x4", false},
		"workers that are not":                {4, v1alpha1.BatchNormWorker, "4x4", true},
		"micro-batches":                       {4, v1alpha1.BatchNormMicroBatch, "4x4", true},
		"a slice of one host":                 {1, v1alpha1.BatchNormGlobal, "2x2", false},
	} {
		t.Run(name, func(t *testing.T) {
			run := onGPUs(t, 1, 4, v1alpha1.AugmentationsHost)
			run.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: "v6e", Topology: tc.topology, DevicesPerWorker: new(int32(4))}
			run.Spec.Pretraining.BatchNormStatistics = tc.statistics
			o, _ := optionsOf(t, run, v1alpha1.StagePretrain)
			var got map[string]string
			o.accelerated = func(x *xla.Options) {
				got = x.Environment
				x.Environment, x.Processes = nil, nil // this process is more than this test
			}
			e, _, err := newAccelerated(t.Context(), o, someWorkers{size: tc.workers}, checkpoint.Environment{})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			if (got != nil) != tc.want || tc.want && got["TPU_HOST_BOUNDS"] != "1,1,1" {
				t.Errorf("variables %v", got)
			}
		})
	}
}
