// Package steps starts programs that do contrastive steps when they are told to: ours (hack/bench/trainer/step) and PyTorch's
// (hack/bench/trainer/step_torch.py).
package steps

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

const (
	// Script is PyTorch's program.
	Script = "hack/bench/trainer/step_torch.py"
	// Spin in our program's environment is what simclr-trainer sets for itself: its compute threads wait as briefly for each other.
	Spin = "GOMP_SPINCOUNT=3000"
	// Cache in PyTorch's is torch.compile's, which takes minutes without.
	Cache = "TORCHINDUCTOR_CACHE_DIR=build/bench/inductor"
)

// A Program is one that does steps when it is told to, and else sleeps: of two that take turns, neither has to
// start, to compile or to warm up again.
type Program struct {
	Mode   string // in words
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	lines  *bufio.Scanner
	errors bytes.Buffer
	Answer // the last one
}

// Answer is a line of a program's.
type Answer struct {
	Ready   bool
	Seconds []float64 // of each step
	Loss    float64
	Peak    int64 `json:"peakBytes"` // that were resident at once, after its warm-up
	// Of several workers, a step's mean, of ours alone: how long it exchanges z, batch norm's statistics and sums, and gradients,
	// and waits for others that are slower.
	Gather float64 `json:"gatherSeconds"`
	Norm   float64 `json:"normSeconds"`
	Reduce float64 `json:"reduceSeconds"`
}

// Start a program and wait until it is ready, for as long as it may take.
func Start(ctx context.Context, limit time.Duration, mode string, args ...string) (*Program, error) {
	w := &Program{Mode: mode, cmd: runs.Command(ctx, args...)}
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
		err = errors.Join(fmt.Errorf("not ready within %v", limit), err)
	}
	if err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

// Steps does some, and gives the seconds of each.
func (w *Program) Steps(n int) ([]float64, error) {
	if err := w.Begin(n); err != nil {
		return nil, err
	}
	return w.End()
}

// Begin some steps, of several programs that do them together.
func (w *Program) Begin(n int) error {
	if _, err := fmt.Fprintln(w.stdin, n); err != nil {
		return errors.Join(err, w.listen())
	}
	return nil
}

// End of the steps that were begun: the seconds of each.
func (w *Program) End() ([]float64, error) {
	err := w.listen()
	return w.Seconds, err
}

func (w *Program) listen() error {
	if !w.lines.Scan() {
		_ = w.cmd.Wait() // what it wrote says more than its status
		return &EndedError{w.errors.Bytes()}
	}
	w.Answer = Answer{}
	return json.Unmarshal(w.lines.Bytes(), &w.Answer)
}

// EndedError is that of a program that has ended, with all that it wrote to its standard error.
type EndedError struct{ Log []byte }

func (e *EndedError) Error() string { return fmt.Sprintf("it ended: %s", last(e.Log)) }

// Stop ends the program and those that it started.
func (w *Program) Stop() {
	_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	_ = w.cmd.Wait()
}

// last line of what a program wrote.
func last(text []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return lines[len(lines)-1]
}
