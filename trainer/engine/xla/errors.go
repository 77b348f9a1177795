package xla

import (
	"errors"
	"fmt"
	"strings"
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
type OutOfMemoryError struct{ Err error }

func (e *OutOfMemoryError) Error() string { return e.Err.Error() }

func (e *OutOfMemoryError) Unwrap() error { return e.Err }

// firstLine of an error: what follows are stack traces of another language.
func firstLine(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return errors.New(line)
}

// memory marks errors of memory that is not there (absl's code RESOURCE_EXHAUSTED).
func memory(err error) error {
	if s := err.Error(); strings.Contains(s, "RESOURCE_EXHAUSTED") || strings.Contains(s, "code=8)") || strings.Contains(s, "Out of memory") {
		return &OutOfMemoryError{err}
	}
	return err
}

// failed is an error of a program that ran: its operands were right when it was compiled, so what is not memory is a device.
func (e *Engine) failed(err error) error {
	err = memory(firstLine(err))
	if _, ok := errors.AsType[*OutOfMemoryError](err); ok {
		return err
	}
	return &DeviceError{Plugin: e.options.Plugin, Err: fmt.Errorf("a program failed: %w", err)}
}
