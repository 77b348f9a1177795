package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A process is a program in the background that outlives the command which started it.
type process struct {
	name string
	args []string
	// files are configurations that it reads once: a change restarts it.
	files []string
}

// A running process is known by its number and start time, so that a number used again is never mistaken for it.
type running struct {
	PID       int    `json:"pid"`
	StartTime string `json:"startTime"`
	Want      string `json:"want"`
}

func (p process) pidFile() string { return filepath.Join(runDir, p.name+".pid") }
func (p process) logFile() string { return filepath.Join(logDir, p.name+".log") }

// ensure starts the process unless it runs already with the same program, arguments and files.
func (p process) ensure() error {
	want, err := p.fingerprint()
	if err != nil {
		return err
	}
	if r, ok := p.observe(); ok {
		if r.Want == want {
			return nil
		}
		p.stop()
	}
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	r := running{PID: cmd.Process.Pid, StartTime: startTime(cmd.Process.Pid), Want: want}
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.pidFile(), data, 0o644); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// fingerprint changes when the process has to be started anew.
func (p process) fingerprint() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, strings.Join(p.args, "\x00"))
	for _, file := range p.files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	info, err := os.Stat(p.args[0])
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.name, err)
	}
	fmt.Fprintln(h, info.Size(), info.ModTime().UnixNano())
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (p process) observe() (running, bool) {
	var r running
	data, err := os.ReadFile(p.pidFile())
	if err != nil || json.Unmarshal(data, &r) != nil {
		return r, false
	}
	return r, r.StartTime != "" && startTime(r.PID) == r.StartTime
}

// stop asks, waits ten seconds, and insists.
func (p process) stop() {
	defer os.Remove(p.pidFile())
	r, ok := p.observe()
	if !ok {
		return
	}
	_ = syscall.Kill(r.PID, syscall.SIGTERM)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, ok := p.observe(); !ok {
			return
		}
	}
	_ = syscall.Kill(-r.PID, syscall.SIGKILL)
	for range 100 {
		if _, ok := p.observe(); !ok {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// startTime is field 22 of /proc/PID/stat, and "" of a process that is gone or a zombie.
func startTime(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// the second field, the name in parentheses, may hold spaces
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// lastWords are the end of a process's log, for an error.
func (p process) lastWords() string {
	data, err := os.ReadFile(p.logFile())
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// sh runs a program to its end and returns what it printed; an error carries its words.
func sh(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, text)
	}
	return text, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}
