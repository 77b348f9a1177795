package xla

import (
	"os"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// plugins are where an image has the plugin of an accelerator, as its maker's wheel names it.
var plugins = map[v1alpha1.AcceleratorType]string{
	v1alpha1.NvidiaGPU: "/opt/simclr/pjrt/jax_plugins/xla_cuda13/xla_cuda_plugin.so",
	v1alpha1.TPU:       "/opt/simclr/pjrt/libtpu/libtpu.so",
}

// Find is the file of an accelerator's plugin: what SIMCLR_PJRT_PLUGIN says, else the image's. "": there is none.
func Find(accelerator v1alpha1.AcceleratorType) string {
	if path := os.Getenv(contract.EnvPlugin); path != "" {
		return path
	}
	path := plugins[accelerator]
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
