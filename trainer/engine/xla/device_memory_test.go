package xla

import (
	"errors"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// Of the devices that are used the least limit counts; one that does not say its leaves it unknown, as does a plugin that has no such
// numbers, and XLA's for CPUs. An error of memory has it where the compiler does not say what there is.
func TestDevicesSayTheirMemory(t *testing.T) {
	limited := xlatest.Limited(t)
	for name, tc := range map[string]struct {
		plugin, limits string
		devices        int
		want           int64
	}{
		"alike":           {limited, "4096,4096,4096,4096", 0, 4096},
		"the least":       {limited, "4096,2048,4096,4096", 0, 2048},
		"of those used":   {limited, "4096,8192,1024,1024", 2, 4096},
		"one is not set":  {limited, "4096,-,4096,4096", 0, 0},
		"nothing is":      {limited, "0,0,0,0", 0, 0},
		"no such numbers": {limited, "!", 0, 0},
		"one has none":    {limited, "4096,4096,!", 0, 0},
		"the CPU's":       {xlatest.QuickPlugin(t), "4096,4096,4096,4096", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("LIMITED_BYTES", tc.limits)
			e, err := New(Options{Plugin: tc.plugin, Devices: tc.devices})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			}()
			if got := e.Info().Memory; got != tc.want {
				t.Errorf("%d bytes, want %d", got, tc.want)
			}
			for said, want := range map[string]int64{"RESOURCE_EXHAUSTED": tc.want, "RESOURCE_EXHAUSTED: Used 2.0K of 1.0K hbm": 1024} {
				if out, ok := errors.AsType[*OutOfMemoryError](e.memory(errors.New(said))); !ok || out.Has != want {
					t.Errorf("%s: %+v, want %d", said, out, want)
				}
			}
		})
	}
}
