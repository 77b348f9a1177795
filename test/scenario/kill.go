package scenario

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// KillTrainer kills the trainer's process on the node with SIGKILL. The tests run one after the other, so there is one.
func (s *Scenario) KillTrainer() {
	s.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	s.Must(err)
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(line, []byte("simclr-trainer\x00stage\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		s.Must(err)
		s.Must(syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	s.Fatal("no process of a trainer on this machine: these tests run on the node")
}
