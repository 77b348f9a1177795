package xla

import (
	"fmt"
	"os"
)

// setEnvironment sets variables of this process, whose getenv of C then gives them, as Go sets both where a program has cgo; "" removes
// one. A plugin reads them when it is loaded or makes a client, so that it does not matter what had set them before: a pod's
// spec, a device plugin or the container runtime.
func setEnvironment(variables map[string]string) error {
	for name, value := range variables {
		set := func() error { return os.Setenv(name, value) }
		if value == "" {
			set = func() error { return os.Unsetenv(name) }
		}
		if err := set(); err != nil {
			return fmt.Errorf("setting %s for the plugin: %w", name, err)
		}
	}
	return nil
}
