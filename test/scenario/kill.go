package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// Frozen stops the trainer's process while f runs, so that it does not end before, however fast the machine trains; f may end it.
func (s *Scenario) Frozen(f func()) {
	s.Helper()
	pid := s.TrainerPID()
	s.Must(syscall.Kill(pid, syscall.SIGSTOP))
	f()
	if err := syscall.Kill(pid, syscall.SIGCONT); !errors.Is(err, syscall.ESRCH) {
		s.Must(err)
	}
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

// OutOfMemory has the kernel kill a process for the memory of its container, whose limit becomes what it uses now. A trainer in the middle of training
// asks for no more, and files' pages make room at the limit: so a process of ours, which is smaller and not a pod's, fills the container: the kernel
// takes the trainer.
func (s *Scenario) OutOfMemory(pid int) {
	s.Helper()
	dir, usage, limit := s.memoryCgroup(pid)
	fill := exec.CommandContext(s.Context(), "sh", "-c",
		`echo $$ >"$0/cgroup.procs" && read -r _ && exec tail /dev/zero`, dir)
	start, err := fill.StdinPipe()
	s.Must(err)
	s.Must(fill.Start())
	defer func() { _, _ = fill.Process.Wait() }()
	defer func() { _ = fill.Process.Kill() }()
	now, err := os.ReadFile(filepath.Join(dir, usage))
	s.Must(err)
	s.Must(os.WriteFile(filepath.Join(dir, limit), bytes.TrimSpace(now), 0))
	_, err = start.Write([]byte("\n"))
	s.Must(err)
	s.Eventually("the kernel's kill", Patience, func() string {
		if syscall.Kill(pid, 0) == nil {
			return fmt.Sprintf("process %d lives", pid)
		}
		return ""
	})
}

// memoryCgroup is the directory of a process's memory cgroup, and its files of the usage and the limit, in version 1 or 2.
func (s *Scenario) memoryCgroup(pid int) (dir, usage, limit string) {
	s.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	s.Must(err)
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		dir, usage, limit = "/sys/fs/cgroup/memory"+parts[2], "memory.usage_in_bytes", "memory.limit_in_bytes"
		switch {
		case parts[1] == "memory":
		case parts[0] == "0" && parts[1] == "": // version 2
			dir, usage, limit = "/sys/fs/cgroup"+parts[2], "memory.current", "memory.max"
		default:
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, usage)); err == nil { // not of the other version
			return dir, usage, limit
		}
	}
	s.Fatalf("the process has no cgroup with a memory limit:\n%s", raw)
	return "", "", ""
}
