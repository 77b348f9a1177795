package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond of /proc/PID/stat: USER_HZ, 100 on Linux whatever the kernel's own clock.
const ticksPerSecond = 100

// process is a program that runs beside this one and ends with it.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed at its end
}

func startProcess(log, name string, env []string, args ...string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // cmd.ProcessState says how it ended
		close(p.done)
	}()
	return p, nil
}

// alive is an error with the process's last words where it has ended.
func (p *process) alive() error {
	select {
	case <-p.done:
		text, _ := os.ReadFile(p.log)
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		return fmt.Errorf("%s has ended (%s):\n%s", p.name, p.cmd.ProcessState, strings.Join(lines[max(0, len(lines)-10):], "\n"))
	default:
		return nil
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// usage of a process so far.
type usage struct {
	peakMiB float64 // of resident memory
	seconds float64 // of all CPUs
}

func (p *process) usage() (usage, error) {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return usage{}, err
	}
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return usage{}, err
	}
	return parseUsage(string(status), stat)
}

// allSeconds of CPU that this program and those that it has started have taken: a process that has ended is in none.
func allSeconds() float64 { return secondsOf(os.DirFS("/proc"), strconv.Itoa(os.Getpid())) }

// secondsOf a process and its children, in a /proc.
func secondsOf(proc fs.FS, pid string) (seconds float64) {
	stats, err := fs.Glob(proc, "[0-9]*/stat")
	if err != nil {
		panic(err) // the pattern is right
	}
	for _, file := range stats {
		stat, err := fs.ReadFile(proc, file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) < 13 || fields[1] != pid && path.Dir(file) != pid {
			continue
		}
		for _, field := range fields[11:13] {
			ticks, _ := strconv.ParseFloat(field, 64)
			seconds += ticks / ticksPerSecond
		}
	}
	return seconds
}

func parseUsage(status string, stat []byte) (u usage, err error) {
	_, after, found := strings.Cut(status, "\nVmHWM:")
	if !found {
		return u, errors.New("/proc/PID/status has no VmHWM")
	}
	kib, err := strconv.ParseFloat(strings.Fields(after)[0], 64)
	if err != nil {
		return u, err
	}
	// the second field, the name in parentheses, may hold spaces; utime and stime are fields 14 and 15
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("/proc/PID/stat has %d fields", len(fields))
	}
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return u, err
		}
		u.seconds += ticks / ticksPerSecond
	}
	u.peakMiB = kib / 1024
	return u, nil
}
