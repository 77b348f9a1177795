package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/api/validation"
)

// load reads a SimCLRRun, checks it as the API server would, and resolves its defaults.
func load(path string) (*v1alpha1.SimCLRRun, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, contract.UserErrorf("RunFileMissing", "reading the run: %w", err)
	}
	run, err := validation.Load(raw)
	var several utilerrors.Aggregate
	if errors.As(err, &several) && len(several.Errors()) > 1 {
		lines := path + " is not valid:"
		for _, e := range several.Errors() {
			lines += "\n  " + e.Error()
		}
		return nil, contract.UserErrorf("InvalidSpec", "%s", lines)
	}
	if err != nil {
		return nil, contract.UserErrorf("InvalidSpec", "%s: %w", path, err)
	}
	resolved, err := v1alpha1.Resolve(run)
	if err != nil {
		return nil, contract.UserErrorf("InvalidSpec", "%s: %w", path, err)
	}
	return resolved, nil
}

// fileFlag is the run's file of a command that needs one.
func fileFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "file", "f", "", "the SimCLRRun, YAML or JSON (required)")
	_ = c.MarkFlagFilename("file", "yaml", "yml", "json") // completion only
}

func needFile(path string) error {
	if path == "" {
		return contract.UserErrorf("Usage", "name the run's file with -f")
	}
	return nil
}
