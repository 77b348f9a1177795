package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Main runs the tests of a folder beside this one, which needs nothing but the cluster, and gives the exit code.
func Main(m *testing.M) int {
	if err := Connect(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Command runs in the repository's root, and ends the test where it fails.
func Command(t testing.TB, command ...string) {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), command[0], command[1:]...)
	c.Dir = Root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
}
