package stage

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

// A host of a TPU slice of several is told of the whole slice, by variables that GKE's device plugin gives to its containers: libtpu then
// waits for the other hosts. A process that trains by itself there (a later stage, workers: 1, or workers that exchange z and gradients
// through their hosts) is to see its own host alone. It is told what the device plugin tells a slice of one host of as many chips
// (InitEnvs in github.com/ai-on-gke/tpu-device-plugin, pkg/tpu/util/util.go), the same by the names that libtpu has for processes
// (jax/_src/test_multiprocess.py in github.com/jax-ml/jax), and nothing of other processes. libtpu 0.0.42.1's
// binary has all of these names that begin with TPU_, but for TPU_TOPOLOGY. Nobody here has run it on a TPU.

// tpuTypes are what GKE calls the generations in TPU_ACCELERATOR_TYPE, with the cores of a chip that are counted there.
var tpuTypes = map[string]struct {
	name  string
	cores int32
}{"v3": {"v3", 2}, "v4": {"v4", 2}, "v5e": {"v5litepod", 1}, "v5p": {"v5p", 2}, "v6e": {"v6e", 1}}

// hostBounds are the chips of a host, along each side.
var hostBounds = map[int32]string{1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}

// oneHost are the variables by which libtpu sees this host of a slice alone, "" those that it is not to see; nil where the slice has
// no other hosts.
func oneHost(a v1alpha1.AcceleratorSpec) map[string]string {
	hosts, chips := plan.TPUHosts(a)
	if hosts < 2 {
		return nil
	}
	bounds := hostBounds[chips]
	if bounds == "" { // no host of several has so many
		return nil
	}
	sides := strings.Split(bounds, ",")[:strings.Count(a.Topology, "x")+1]
	kind := tpuTypes[a.Generation]
	return map[string]string{
		"TPU_WORKER_ID":                "0",
		"CLOUD_TPU_TASK_ID":            "0",
		"TPU_WORKER_HOSTNAMES":         "localhost",
		"TPU_PROCESS_ADDRESSES":        "",
		"TPU_PROCESS_PORT":             "",
		"TPU_HOST_BOUNDS":              onlyBounds,
		"HOST_BOUNDS":                  onlyBounds,
		"TPU_PROCESS_BOUNDS":           onlyBounds,
		"TPU_CHIPS_PER_HOST_BOUNDS":    bounds,
		"CHIPS_PER_HOST_BOUNDS":        bounds,
		"TPU_CHIPS_PER_PROCESS_BOUNDS": bounds,
		"TPU_TOPOLOGY":                 strings.Join(sides, "x"),
		"TPU_TOPOLOGY_WRAP":            unwrapped,
		"WRAP":                         unwrapped,
		"TPU_TOPOLOGY_ALT":             "false",
		"ALT":                          "false",
		"TPU_ACCELERATOR_TYPE":         fmt.Sprintf("%s-%d", kind.name, kind.cores*chips),
		"ENABLE_ICI_RESILIENCY":        "",
	}
}

// oneHostHere is oneHost where nothing is known but what this container was told.
func oneHostHere() map[string]string {
	for generation, kind := range tpuTypes {
		if strings.HasPrefix(os.Getenv("TPU_ACCELERATOR_TYPE"), kind.name+"-") {
			return oneHost(v1alpha1.AcceleratorSpec{Type: v1alpha1.TPU, Generation: generation, Topology: os.Getenv("TPU_TOPOLOGY")})
		}
	}
	return nil
}

const (
	onlyBounds = "1,1,1"             // of one process
	unwrapped  = "false,false,false" // no side of a host is a ring
)

// told are variables for a log: those that are set, and those that are taken away from what there was.
func told(variables map[string]string) (set, removed string) {
	var s, r []string
	for name, value := range variables {
		if value != "" {
			s = append(s, name+"="+value)
		} else if _, there := os.LookupEnv(name); there {
			r = append(r, name)
		}
	}
	slices.Sort(s)
	slices.Sort(r)
	return strings.Join(s, " "), strings.Join(r, " ")
}
