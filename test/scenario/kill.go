package scenario

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// KillTrainer kills the trainer's process on the node with SIGKILL. The tests run one after the other, so there is one.
func (s *Scenario) KillTrainer() {
	s.Helper()
	s.Kill(s.TrainerPID())
}

// Kill kills a process of the node.
func (s *Scenario) Kill(pid int) {
	s.Helper()
	s.Must(syscall.Kill(pid, syscall.SIGKILL))
}

// Frozen stops the trainer's process while f runs, however fast the machine trains.
func (s *Scenario) Frozen(f func()) {
	s.Helper()
	pid := s.TrainerPID()
	s.Must(syscall.Kill(pid, syscall.SIGSTOP))
	f()
	s.Must(syscall.Kill(pid, syscall.SIGCONT))
}

// TrainerPID is the process of the run's trainer on the node.
func (s *Scenario) TrainerPID() int {
	s.Helper()
	pids := Processes("simclr-trainer", "stage")
	if len(pids) == 0 {
		s.Fatal("no process of a trainer on this machine: these tests run on the node")
	}
	return pids[0]
}

// TrainerOfRank is the process of one of several workers.
func (s *Scenario) TrainerOfRank(rank int) int {
	s.Helper()
	for _, pid := range Processes("simclr-trainer", "stage") {
		environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err == nil && bytes.Contains(append([]byte{0}, environment...), fmt.Appendf(nil, "\x00%s=%d\x00", contract.EnvRank, rank)) {
			return pid
		}
	}
	s.Fatalf("no process of a trainer of rank %d on this machine: these tests run on the node", rank)
	return 0
}

// Processes of this machine whose command line begins so.
func Processes(args ...string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	var pids []int
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(line, []byte(strings.Join(args, "\x00")+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// LimitMemory sets the memory limit of a process's container to what it uses now.
func (s *Scenario) LimitMemory(pid int) {
	s.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	s.Must(err)
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		dir, usage, limit := "/sys/fs/cgroup/memory"+parts[2], "memory.usage_in_bytes", "memory.limit_in_bytes"
		switch {
		case parts[1] == "memory":
		case parts[0] == "0" && parts[1] == "": // version 2
			dir, usage, limit = "/sys/fs/cgroup"+parts[2], "memory.current", "memory.max"
		default:
			continue
		}
		now, err := os.ReadFile(filepath.Join(dir, usage))
		if err != nil { // of the other version
			continue
		}
		s.Must(os.WriteFile(filepath.Join(dir, limit), bytes.TrimSpace(now), 0))
		return
	}
	s.Fatalf("the process has no cgroup with a memory limit:\n%s", raw)
}
