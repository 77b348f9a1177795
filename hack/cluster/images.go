package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// load imports image archives, so that a pod finds them without a registry.
func load(ctx context.Context, files []string) error {
	if !exists(containerdSocket) {
		return errors.New("containerd does not run (make cluster-up)")
	}
	for _, file := range files {
		cmd := exec.CommandContext(ctx, "ctr", "--address", containerdSocket, "--namespace", "k8s.io", "images", "import", file)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("importing %s: %w: %s", file, err, out)
		}
		sayf("loaded %s", filepath.Base(file))
	}
	return nil
}
