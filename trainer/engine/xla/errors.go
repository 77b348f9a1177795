package xla

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/gomlx/go-xla/pjrt"
)

// PluginError is a plugin that is not there, is none, or speaks another version.
type PluginError struct {
	Path string
	Err  error
}

func (e *PluginError) Error() string { return fmt.Sprintf("PJRT plugin %s: %v", e.Path, e.Err) }

func (e *PluginError) Unwrap() error { return e.Err }

// DeviceError is a plugin that finds no device, or not enough, or on one of which a program fails.
type DeviceError struct {
	Plugin string
	Err    error
}

func (e *DeviceError) Error() string { return fmt.Sprintf("devices of %s: %v", e.Plugin, e.Err) }

func (e *DeviceError) Unwrap() error { return e.Err }

// OutOfMemoryError is a program that does not fit the devices' memory.
type OutOfMemoryError struct {
	Err error
	// Needs of each device, as the compiler says, and what it has for programs, as the compiler or else the device says; 0: none does.
	// Unit: bytes.
	Needs, Has int64
}

func (e *OutOfMemoryError) Error() string { return e.Err.Error() }

func (e *OutOfMemoryError) Unwrap() error { return e.Err }

// firstLine of an error: what follows are stack traces of another language.
func firstLine(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}

// memory marks errors of memory that is not there (absl's code RESOURCE_EXHAUSTED).
func (e *Engine) memory(err error) error {
	if s := err.Error(); strings.Contains(s, "RESOURCE_EXHAUSTED") || strings.Contains(s, "code=8)") || strings.Contains(s, "Out of memory") {
		needs, has := used(s)
		return &OutOfMemoryError{err, needs, cmp.Or(has, e.info.Memory)}
	}
	return err
}

// hbm is how the TPU compiler says what a program needs (xla/service/tpu, "Ran out of memory in memory space hbm").
var hbm = regexp.MustCompile(`Used ([0-9.]+)([KMG]) of ([0-9.]+)([KMG]) hbm`)

// used is what a compiler says a program needs, and what there is; 0 where it does not. Unit: bytes.
func used(message string) (needs, has int64) {
	m := hbm.FindStringSubmatch(message)
	if m == nil {
		return 0, 0
	}
	size := func(number, unit string) int64 {
		f, _ := strconv.ParseFloat(number, 64) // digits and points
		return int64(f * float64(int64(1)<<(10*(1+strings.Index("KMG", unit)))))
	}
	return size(m[1], m[2]), size(m[3], m[4])
}

// failed is an error of a program that ran: its operands were right when it was compiled, so what is not memory is a device.
// program may be nil; else it says what it needs.
func (e *Engine) failed(err error, program *pjrt.LoadedExecutable) error {
	err = e.memory(firstLine(err))
	if out, ok := errors.AsType[*OutOfMemoryError](err); ok {
		if program != nil && out.Needs == 0 {
			out.Needs = program.OnDeviceMemoryUsageStats.Requirements()
		}
		return err
	}
	return &DeviceError{Plugin: e.options.Plugin, Err: fmt.Errorf("a program failed: %w", err)}
}
