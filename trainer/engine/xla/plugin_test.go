package xla

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// built is a shared library of C.
func built(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	c, so := filepath.Join(dir, "plugin.c"), filepath.Join(dir, "plugin.so")
	if err := os.WriteFile(c, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-o", so, c).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return so
}

// speaking is a plugin of a version whose functions crash when they are called.
func speaking(t *testing.T, version string) string {
	t.Helper()
	return built(t, `#include <stddef.h>
static struct { size_t size; void *next; size_t version_size; void *version_next; int major, minor; void *functions[200]; } api = {.major = `+
		strings.ReplaceAll(version, ".", ", .minor = ")+`};
void *GetPjrtApi(void) { return &api; }`)
}

func TestWrongPlugins(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ path, want string }{
		"no file":               {"/no/plugin.so", "PJRT plugin /no/plugin.so: no such file"},
		"no library":            {text, "it is no PJRT plugin: "},
		"no plugin":             {built(t, "int f(void) { return 1; }"), "it is no PJRT plugin: "},
		"no table":              {built(t, "void *GetPjrtApi(void) { return 0; }"), "it gives no function table"},
		"another major version": {speaking(t, "1.0"), "it speaks version 1.0 of PJRT's C interface, this program 0.90 or newer"},
		"an old version":        {speaking(t, "0.54"), "it speaks version 0.54 of"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(Options{Plugin: tc.path})
			if _, ok := errors.AsType[*PluginError](err); !ok || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one of the plugin that says %q", err, tc.want)
			}
		})
	}
}

func TestTooFewDevices(t *testing.T) {
	_, err := New(Options{Plugin: xlatest.QuickPlugin(t), Devices: 3, Client: map[string]any{"cpu_device_count": int64(2)}})
	if _, ok := errors.AsType[*DeviceError](err); !ok || !strings.Contains(err.Error(), "2 devices are there, 3 are wanted") {
		t.Errorf("error %v", err)
	}
}

// What ends a program that ran is told apart: memory is the user's to mend, a device the operator's to avoid.
func TestFailures(t *testing.T) {
	e := &Engine{options: Options{Plugin: "plugin.so"}}
	for said, memory := range map[string]bool{
		"PJRT error (code=8): RESOURCE_EXHAUSTED: Out of memory while trying to allocate 21474836480 bytes.\n\tat …": true,
		"PJRT error (code=8): out": true,
		"PJRT error (code=13): INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS\ngoroutine 1": false,
	} {
		err := e.failed(errors.New(said), nil)
		_, isMemory := errors.AsType[*OutOfMemoryError](err)
		_, isDevice := errors.AsType[*DeviceError](err)
		if isMemory != memory || isDevice == memory || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is %T: %v", said, err, err)
		}
	}
}

// The header is go-xla's, whose function table ours stands in for.
func TestHeaderIsTheLibrarys(t *testing.T) {
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gomlx/go-xla").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "pjrt/pjrt_c_api.h"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("pjrt_c_api.h"); err != nil || string(got) != string(want) {
		t.Errorf("pjrt_c_api.h is not go-xla's: copy %s/pjrt/pjrt_c_api.h here: %v", strings.TrimSpace(string(dir)), err)
	}
}

// A plugin that can drive none of what is here is no device, and says what is to be done; no user's mistake.
func TestNoDevice(t *testing.T) {
	_, err := New(Options{Plugin: xlatest.QuickPlugin(t), Client: map[string]any{"cpu_device_count": "none"}})
	if out, ok := errors.AsType[*DeviceError](err); !ok || !strings.Contains(out.Error(), "none can be used: the node needs one, with a driver that is new enough") {
		t.Errorf("error %v", err)
	}
}

// What compilers say a program needs is read from their words; what has none is not known.
func TestNeededMemory(t *testing.T) {
	for said, want := range map[string][2]int64{
		"RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 22.5G of 15.75G hbm. Exceeded hbm capacity by 6.75G.": {22.5 * (1 << 30), 15.75 * (1 << 30)},
		"RESOURCE_EXHAUSTED: … Used 1.00G of 512.00M hbm.":                                                                     {1 << 30, 512 << 20},
		"RESOURCE_EXHAUSTED: Out of memory while trying to allocate 21474836480 bytes.":                                        {},
	} {
		out, ok := errors.AsType[*OutOfMemoryError](new(Engine).memory(errors.New(said)))
		if !ok || out.Needs != want[0] || out.Has != want[1] {
			t.Errorf("%q: %+v, want %v", said, out, want)
		}
	}
}

// A program that does not fit when it runs says what it needs: at least its variables.
func TestAProgramSaysWhatItNeeds(t *testing.T) {
	e := newEngine(t, 1, false)
	p, err := model.NTXent(512, 64, temperature)
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.New(p)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, x)
	out, ok := errors.AsType[*OutOfMemoryError](e.failed(errors.New("RESOURCE_EXHAUSTED"), x.loaded[0]))
	if !ok || out.Needs < 512*64*4 {
		t.Errorf("%+v: z alone has %d bytes", out, 512*64*4)
	}
}

// A plugin that has no options for the share of memory is asked without them, in whatever words it refuses one; what else it refuses is an error.
func TestTheShareOfMemoryIsNoMust(t *testing.T) {
	limited := xlatest.Limited(t)
	for name, tc := range map[string]struct {
		plugin, refused, said string // refused by a plugin that stands in
		failed                bool
	}{
		"XLA's words":    {xlatest.QuickPlugin(t), "", "Unexpected option name passed to PJRT_Client_Create", false},
		"no share":       {limited, optionShare, "(code=3): " + optionShare, false},
		"not taken":      {limited, optionTake, "(code=3): " + optionTake, false},
		"knows both":     {limited, "", "", false},
		"another option": {limited, "cpu_device_count", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LIMITED_REFUSES", tc.refused)
			var said strings.Builder
			e, err := New(Options{Plugin: tc.plugin, Share: 0.5, Client: map[string]any{"cpu_device_count": int64(2)}, Log: slog.New(slog.NewTextHandler(&said, nil))})
			if (err != nil) != tc.failed {
				t.Fatalf("error %v", err)
			}
			if told := strings.Contains(said.String(), "cannot be told how much"); told != (tc.said != "") || !strings.Contains(said.String(), tc.said) {
				t.Errorf("it says %q", said.String())
			}
			if tc.failed {
				return
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
