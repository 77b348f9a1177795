package xla

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

// The beginning of PJRT_Api (pjrt_c_api.h), which is the same in every version.
typedef struct {
	size_t struct_size;
	void *extension_start;
	struct {
		size_t struct_size;
		void *extension_start;
		int major_version, minor_version;
	} version;
} api_head;

// plugin_version is NULL, or what is wrong. The plugin stays loaded.
static const char *plugin_version(const char *path, int *major, int *minor) {
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) return dlerror();
	const api_head *(*get)(void) = dlsym(handle, "GetPjrtApi");
	if (!get) return dlerror();
	const api_head *api = get();
	if (!api) return "it gives no function table";
	*major = api->version.major_version;
	*minor = api->version.minor_version;
	return NULL;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"
)

// apiMajor is the version of PJRT's C interface that this program speaks; the oldest minor version has all that is called.
const (
	apiMajor = 0
	apiMinor = 90
)

// load loads a plugin. Its version is looked at before any of its functions is called: those of another version are not
// where they are looked for.
func load(path string) (*pjrt.Plugin, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, &PluginError{path, errors.New("no such file")}
	}
	var major, minor C.int
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if wrong := C.plugin_version(name, &major, &minor); wrong != nil {
		return nil, &PluginError{path, fmt.Errorf("it is no PJRT plugin: %s", C.GoString(wrong))}
	}
	if major != apiMajor || minor < apiMinor {
		return nil, &PluginError{path, fmt.Errorf("it speaks version %d.%d of PJRT's C interface, this program %d.%d or newer", major, minor, apiMajor, apiMinor)}
	}
	plugin, err := pjrt.GetPlugin(path)
	if err != nil {
		return nil, &PluginError{path, firstLine(err)}
	}
	return plugin, nil
}
