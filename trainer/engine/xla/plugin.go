package xla

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "pjrt_c_api.h"

// compilation is the one under way: what of it was kept, and what is to be kept.
static struct {
	const PJRT_Api *api;
	const char *kept; // an executable that was serialized; NULL: none
	size_t kept_size;
	char *made; // malloc's; NULL: the plugin cannot serialize
	size_t made_size;
	int loaded; // whether kept served
	const char *options; // in place of go-xla's; NULL: its own
	size_t options_size;
} compilation;

static void forget(PJRT_Error *error) {
	PJRT_Error_Destroy_Args a = {.struct_size = PJRT_Error_Destroy_Args_STRUCT_SIZE, .error = error};
	compilation.api->PJRT_Error_Destroy(&a);
}

// keep serializes an executable. What fails of it leaves nothing made.
static void keep(PJRT_LoadedExecutable *loaded) {
	const PJRT_Api *api = compilation.api;
	PJRT_LoadedExecutable_GetExecutable_Args g = {.struct_size = PJRT_LoadedExecutable_GetExecutable_Args_STRUCT_SIZE, .loaded_executable = loaded};
	PJRT_Error *error = api->PJRT_LoadedExecutable_GetExecutable(&g);
	if (error) return forget(error);
	PJRT_Executable_Serialize_Args s = {.struct_size = PJRT_Executable_Serialize_Args_STRUCT_SIZE, .executable = g.executable};
	if ((error = api->PJRT_Executable_Serialize(&s))) {
		forget(error);
	} else {
		if ((compilation.made = malloc(s.serialized_bytes_size))) {
			memcpy(compilation.made, s.serialized_bytes, s.serialized_bytes_size);
			compilation.made_size = s.serialized_bytes_size;
		}
		s.serialized_executable_deleter(s.serialized_executable);
	}
	PJRT_Executable_Destroy_Args d = {.struct_size = PJRT_Executable_Destroy_Args_STRUCT_SIZE, .executable = g.executable};
	if ((error = api->PJRT_Executable_Destroy(&d))) forget(error);
}

static PJRT_Error *compile(PJRT_Client_Compile_Args *a) {
	if (compilation.options) {
		a->compile_options = compilation.options;
		a->compile_options_size = compilation.options_size;
	}
	if (compilation.kept) {
		PJRT_Executable_DeserializeAndLoad_Args d = {.struct_size = PJRT_Executable_DeserializeAndLoad_Args_STRUCT_SIZE, .client = a->client,
			.serialized_executable = compilation.kept, .serialized_executable_size = compilation.kept_size};
		PJRT_Error *error = compilation.api->PJRT_Executable_DeserializeAndLoad(&d);
		if (!error) {
			a->executable = d.loaded_executable;
			compilation.loaded = 1;
			return NULL;
		}
		forget(error); // it is compiled anew
	}
	PJRT_Error *error = compilation.api->PJRT_Client_Compile(a);
	if (!error) keep(a->executable);
	return error;
}

// Go's, in processes.go.
extern PJRT_Error *simclrKeyValueGet(PJRT_KeyValueGetCallback_Args *);
extern PJRT_Error *simclrKeyValueTryGet(PJRT_KeyValueTryGetCallback_Args *);
extern PJRT_Error *simclrKeyValuePut(PJRT_KeyValuePutCallback_Args *);

// creation is the client that this thread is making: for which process the store is asked, NULL where it is alone.
static __thread struct {
	const PJRT_Api *api;
	void *process;
	PJRT_Client *client; // that was made
} creation;

static PJRT_Error *create(PJRT_Client_Create_Args *a) {
	if (creation.process) {
		a->kv_get_callback = simclrKeyValueGet;
		a->kv_put_callback = simclrKeyValuePut;
		a->kv_try_get_callback = simclrKeyValueTryGet;
		a->kv_get_user_arg = a->kv_put_user_arg = a->kv_try_get_user_arg = creation.process;
	}
	PJRT_Error *error = creation.api->PJRT_Client_Create(a);
	creation.client = error ? NULL : a->client;
	return error;
}

static void begin_client(void *api, void *process) {
	creation.api = api;
	creation.process = process;
}

static void *made_client(void) { return creation.client; }

static void begin(void *api, const void *kept, size_t size, const void *options, size_t options_size) {
	memset(&compilation, 0, sizeof compilation);
	compilation.api = api;
	compilation.kept = kept;
	compilation.kept_size = size;
	compilation.options = options;
	compilation.options_size = options_size;
}

// end gives what was made, to be freed, or NULL.
static char *end(size_t *size, int *loaded) {
	*size = compilation.made_size;
	*loaded = compilation.loaded;
	return compilation.made;
}

// open_plugin is NULL, or what is wrong. The plugin stays loaded. mine is its table with our compile; a plugin's may be longer or
// shorter than this header's.
static const char *open_plugin(const char *path, const PJRT_Api **real, PJRT_Api **mine, int *major, int *minor) {
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) return dlerror();
	const PJRT_Api *(*get)(void) = dlsym(handle, "GetPjrtApi");
	if (!get) return dlerror();
	if (!(*real = get())) return "it gives no function table";
	*major = (*real)->pjrt_api_version.major_version;
	*minor = (*real)->pjrt_api_version.minor_version;
	size_t size = (*real)->struct_size < sizeof **mine ? (*real)->struct_size : sizeof **mine;
	if (!(*mine = calloc(1, sizeof **mine))) return "no memory for its function table";
	memcpy(*mine, *real, size);
	(*mine)->PJRT_Client_Compile = compile;
	(*mine)->PJRT_Client_Create = create;
	return NULL;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"

	"github.com/gomlx/go-xla/pjrt"
)

// apiMajor is the version of PJRT's C interface that this program speaks; the oldest minor version has all that is called.
const (
	apiMajor = 0
	apiMinor = 90
)

// plugin is one that is loaded, with the function table that go-xla calls: the plugin's own but for compiling, by which programs
// that are compiled are kept. go-xla 0.4.1 has no words for that.
type plugin struct {
	*pjrt.Plugin
	api *C.PJRT_Api // the plugin's own table
}

var (
	loading sync.Mutex
	loaded  = map[string]*plugin{} // by path; they stay
)

// load loads a plugin. Its version is looked at before any of its functions is called: those of another version are not
// where they are looked for.
func load(path string) (*plugin, error) {
	loading.Lock()
	defer loading.Unlock()
	if p := loaded[path]; p != nil {
		return p, nil
	}
	if _, err := os.Stat(path); err != nil {
		return nil, &PluginError{path, errors.New("no such file")}
	}
	var own, ours *C.PJRT_Api
	var major, minor C.int
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	wrong := C.open_plugin(name, &own, &ours, &major, &minor) //nolint:gocritic // of code that cgo writes
	if wrong != nil {
		return nil, &PluginError{path, fmt.Errorf("it is no PJRT plugin: %s", C.GoString(wrong))}
	}
	if major != apiMajor || minor < apiMinor {
		return nil, &PluginError{path, fmt.Errorf("it speaks version %d.%d of PJRT's C interface, this program %d.%d or newer", major, minor, apiMajor, apiMinor)}
	}
	if err := pjrt.RegisterPreloadedPlugin(path, uintptr(unsafe.Pointer(ours))); err != nil {
		return nil, &PluginError{path, firstLine(err)}
	}
	p, err := pjrt.GetPlugin(path)
	if err != nil {
		return nil, &PluginError{path, firstLine(err)}
	}
	loaded[path] = &plugin{p, own}
	return loaded[path], nil
}

// client makes a client. Of several processes each waits in it for the others. What it gives beside is to be called after the
// client's end: NCCL asks the store in the first steps, too.
func (p *plugin) client(options map[string]any, processes *Processes) (c *pjrt.Client, inC unsafe.Pointer, release func(), err error) {
	runtime.LockOSThread() // which has what create is to know
	defer runtime.UnlockOSThread()
	var process unsafe.Pointer
	release = func() {}
	if processes != nil {
		h := cgo.NewHandle(processes)
		process = C.CBytes(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)))
		release = func() {
			h.Delete()
			C.free(process)
		}
	}
	C.begin_client(unsafe.Pointer(p.api), process)
	if c, err = p.NewClient(options); err != nil {
		release()
		return nil, nil, nil, err
	}
	return c, C.made_client(), release, nil
}

// compiling is one program's at a time: the plugin is given what was kept of it, and leaves what is to be kept.
var compiling sync.Mutex

// compile compiles a program, by options in place of the configuration's unless they are nil, or takes what was kept of it, nil where that is nothing; served says which. What is made can be kept:
// nil where the plugin cannot give it.
func (p *plugin) compile(c *pjrt.CompileConfig, kept, options []byte) (l *pjrt.LoadedExecutable, made []byte, served bool, err error) {
	compiling.Lock()
	defer compiling.Unlock()
	inC := C.CBytes(kept)
	defer C.free(inC)
	if len(kept) == 0 {
		inC = nil
	}
	optionsInC := C.CBytes(options)
	defer C.free(optionsInC)
	if len(options) == 0 {
		optionsInC = nil
	}
	C.begin(unsafe.Pointer(p.api), inC, C.size_t(len(kept)), optionsInC, C.size_t(len(options)))
	l, err = c.Done()
	var size C.size_t
	var wasKept C.int
	if bytes := C.end(&size, &wasKept); bytes != nil {
		made = append(made, unsafe.Slice((*byte)(unsafe.Pointer(bytes)), int(size))...)
		C.free(unsafe.Pointer(bytes))
	}
	return l, made, wasKept != 0, err
}
