package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"

	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// A worker is a program that does steps when it is told to, and else sleeps: of two that take turns, neither has to
// start, to compile or to warm up again.
type worker struct {
	mode   string // in words
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	errors bytes.Buffer
	answer // the last one
}

// answer is a line of a worker's.
type answer struct {
	Ready   bool
	Seconds []float64 // of each step
	Loss    float64
	Peak    int64 `json:"peakBytes"` // that were resident at once, after its warm-up
}

// start a worker and wait until it is ready, for as long as it may take.
func start(ctx context.Context, limit time.Duration, mode string, args ...string) (*worker, error) {
	w := &worker{mode: mode, cmd: runs.Command(ctx, args...)}
	w.cmd.Stderr = &w.errors
	var err error
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.lines = bufio.NewScanner(out)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(limit, func() { _ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) })
	err = w.listen()
	if !late.Stop() {
		err = fmt.Errorf("not ready within %v", limit)
	}
	if err != nil {
		w.stop()
		return nil, err
	}
	return w, nil
}

// steps does some, and gives the seconds of each.
func (w *worker) steps(n int) ([]float64, error) {
	if _, err := fmt.Fprintln(w.stdin, n); err != nil {
		return nil, errors.Join(err, w.listen())
	}
	err := w.listen()
	return w.Seconds, err
}

func (w *worker) listen() error {
	if !w.lines.Scan() {
		_ = w.cmd.Wait() // what it wrote says more than its status
		return fmt.Errorf("it ended: %s", last(w.errors.Bytes()))
	}
	w.answer = answer{}
	return json.Unmarshal(w.lines.Bytes(), &w.answer)
}

// stop ends the worker and those that it started.
func (w *worker) stop() {
	_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	_ = w.cmd.Wait()
}

// last line of what a program wrote.
func last(text []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return lines[len(lines)-1]
}
