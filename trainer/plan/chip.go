package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Chip is a kind of device that a step is compiled for.
type Chip struct {
	Name string // such as NVIDIA H200 or TPU v5e
	// Memory of a device, all of it; 0: not known. Unit: bytes.
	Memory int64
	// Usable is what a program may take of it. Unit: bytes.
	Usable int64

	family string // of the table's rows: cuda or a TPU generation
	exact  bool   // the table's rows are of this kind
}

// tpuMemory of a device, which is a core of a v3 and else a chip, and the cores of a chip
// (https://cloud.google.com/tpu/docs/system-architecture-tpu-vm). Unit: GiB.
var tpuMemory = map[string]struct{ gib, cores int64 }{
	"v3": {16, 2}, "v4": {32, 1}, "v5e": {16, 1}, "v5p": {95, 1}, "v6e": {32, 1},
}

// WorkerDevices are what XLA sees of an accelerator in a worker: its GPUs or TPU chips, of a v3 both cores of each chip, which are
// devices of their own; 0: all that are there.
func WorkerDevices(a v1alpha1.AcceleratorSpec) int {
	if a.DevicesPerWorker == nil {
		return 0
	}
	return int(*a.DevicesPerWorker) * deviceCount(a)
}

// deviceCount of what devicesPerWorker counts one of.
func deviceCount(a v1alpha1.AcceleratorSpec) int {
	if a.Type == v1alpha1.TPU {
		return max(1, int(tpuMemory[a.Generation].cores))
	}
	return 1
}

// TPUHostChips are the chips of a host of a slice: all of a slice that is on one host, else 4
// (https://cloud.google.com/kubernetes-engine/docs/concepts/plan-tpus).
func TPUHostChips(generation string, chips int32) int32 {
	const ofSeveral = 4
	one := int32(4) // the most that a slice of one host has
	if generation == "v5e" || generation == "v6e" {
		one = 8
	}
	if chips <= one {
		return chips
	}
	return ofSeveral
}

// TPUHosts of an accelerator's slice, and the chips of each; no hosts where it is no TPU, or its topology none.
func TPUHosts(a v1alpha1.AcceleratorSpec) (hosts, chips int32) {
	all, err := TPUChips(a.Topology)
	if a.Type != v1alpha1.TPU || err != nil {
		return 0, 0
	}
	chips = TPUHostChips(a.Generation, all)
	if a.DevicesPerWorker != nil {
		chips = *a.DevicesPerWorker
	}
	return all / chips, chips
}

// gpuMemory of products whose names do not say it. Unit: GiB.
var gpuMemory = map[string]int64{
	"h200": 141, "h100": 80, "h800": 80, "gh200": 96, "b200": 180, "l4": 24, "l40s": 48, "l40": 48, "a10g": 24, "a10": 24, "a16": 16, "a30": 24, "a40": 48,
	"a100": 40, "v100": 16, "p100": 16, "p4": 8, "t4": 16,
}

// GPUShare is how much of a GPU's memory the trainer takes for programs, as a pod has its GPUs to itself. The rest is for what is not
// in XLA's pool: the driver's context, the programs' code, cuBLAS, cuDNN and NCCL. By itself XLA takes 0.75 (GpuAllocatorConfig::memory_fraction
// in github.com/openxla/xla, xla/pjrt/plugin/xla_gpu/xla_gpu_allocator_config.h); NVIDIA says that it sets "0.9 or 0.8"
// (https://docs.nvidia.com/jax-toolbox/performance-profiling/gpu-performance).
const GPUShare = 0.9

var sized = regexp.MustCompile(`(\d+)gb`)

// chipOf an accelerator, and how many of its devices share a batch.
func chipOf(a v1alpha1.AcceleratorSpec, workers int) (Chip, int) {
	each := 1
	if a.DevicesPerWorker != nil {
		each = int(*a.DevicesPerWorker)
	}
	switch a.Type {
	case v1alpha1.NvidiaGPU:
		return gpu(a.Product), workers * each
	case v1alpha1.TPU:
		t := tpuMemory[a.Generation]
		c := Chip{Name: "TPU " + a.Generation, Memory: t.gib << 30, Usable: t.gib << 30, family: a.Generation, exact: true}
		chips, _ := TPUChips(a.Topology) // what is wrong with it is the operator's to say, which places the run
		return c, deviceCount(a) * int(chips)
	case v1alpha1.CPU:
	}
	return Chip{}, 0
}

// gpu by the name that a node's labels have, such as NVIDIA-H100-80GB-HBM3 or nvidia-tesla-t4.
func gpu(label string) Chip {
	c := Chip{Name: "NVIDIA GPU", family: "cuda"}
	if label == "" {
		return c
	}
	c.Name = label
	words := strings.FieldsFunc(strings.ToLower(label), func(r rune) bool { return r == '-' || r == '_' || r == ' ' })
	var gib int64
	for _, w := range words {
		if n := gpuMemory[w]; n > 0 && gib == 0 {
			gib = n
		}
		c.exact = c.exact || w == "h200"
	}
	if m := sized.FindStringSubmatch(strings.Join(words, " ")); m != nil {
		gib, _ = strconv.ParseInt(m[1], 10, 32) // digits
	}
	c.Memory = gib * 1e9 // as products are named
	c.Usable = int64(GPUShare * float64(c.Memory))
	return c
}

// TPUChips is the number of chips of a topology such as 4x4 or 2x2x1; an error says what is wrong with it.
func TPUChips(topology string) (int32, error) {
	chips := int64(1)
	for side := range strings.SplitSeq(topology, "x") {
		n, err := strconv.ParseInt(side, 10, 16)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("accelerator.topology %q is not one such as 2x2 or 2x2x1", topology)
		}
		chips *= n
	}
	if chips > 1<<16 {
		return 0, fmt.Errorf("accelerator.topology %q has too many chips", topology)
	}
	return int32(chips), nil
}
