//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/simclr-operator/simclr-operator/test/scenario"
)

const system = "simclr-system" // the operator's namespace

// command of the repository's root, which must succeed.
func command(t *testing.T, name string, args ...string) {
	t.Helper()
	c := exec.Command(filepath.Join(scenario.Root, name), args...)
	c.Dir = scenario.Root
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
}

// helm test finds the resource served and the manager leading, as a user who may read its metrics and nothing else.
func TestHelmTest(t *testing.T) {
	command(t, "build/tools/bin/helm", "test", "simclr-operator", "--namespace", system, "--timeout", "2m", "--logs")
}
