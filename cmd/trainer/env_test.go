package main

import (
	"os"
	"os/exec"
	"testing"
)

// Who asks for help gets no directory in the home.
func TestHelpMakesNoCache(t *testing.T) {
	home := t.TempDir()
	c := exec.Command(program, "run", "--help")
	c.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	entries, err := os.ReadDir(home)
	if err != nil || len(entries) > 0 {
		t.Errorf("made %v, %v", entries, err)
	}
}
