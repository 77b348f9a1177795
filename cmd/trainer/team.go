package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

// With --workers, run starts so many processes of itself that do the pretrain stage together, as the operator starts as many
// pods: each learns from its environment which it is (docs/trainer-contract.md). This process trains nothing meanwhile.

// memberFlag says to a process that it is one of several.
const memberFlag = "--worker"

// loseTime and endTime are how long after one of several has failed the others may go on before they are told to end, and
// before they are ended. They learn of it from each other, and worker 0 saves.
const (
	loseTime = 3 * time.Second
	endTime  = 30 * time.Second
)

// several says whether a stage is done by several processes.
func (f runFlags) several(run *v1alpha1.SimCLRRun, name string) bool {
	return f.workers > 1 && name == v1alpha1.StagePretrain && run.Spec.Pretraining.From == nil
}

// checkWorkers that a run is to have here.
func (f runFlags) checkWorkers(run *v1alpha1.SimCLRRun) error {
	switch n := f.workers; {
	case n < 1 || n > collective.MaxSize:
		return contract.UserErrorf("Usage", "--workers %d; set it from 1 to %d", n, collective.MaxSize)
	case n > 1 && run.Spec.Accelerator.Type != v1alpha1.CPU:
		return contract.UserErrorf("Usage", "--workers %d with accelerator.type %s: one process has all devices of a machine; leave --workers out", n, run.Spec.Accelerator.Type)
	case f.threads < n:
		return contract.UserErrorf("Usage", "--workers %d have %d threads together; set --threads to at least %d, one for each, or --workers lower", n, f.threads, n)
	case f.several(run, v1alpha1.StagePretrain) && int(run.Spec.BatchSize)%n != 0:
		return contract.UserErrorf("InvalidSpec", "batchSize %d is no multiple of --workers %d, each of which trains on as many images; set one of them so", run.Spec.BatchSize, n)
	}
	return nil
}

// team are the processes of a stage.
type team struct {
	dir  string // of what they are given and leave; this user's alone
	all  []*exec.Cmd
	ends chan int // ranks, as they end
}

// runTeam does the pretrain stage with several processes. It shows what worker 0 shows.
func runTeam(ctx context.Context, f runFlags, name string, told map[string]bool) error {
	last, err := checkpoint.LastAttempt(f.output, name)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "simclr-workers-")
	if err != nil {
		return contract.Errorf(contract.ExitStorage, "Storage", "--workers: %w", err)
	}
	defer os.RemoveAll(dir)
	c := &team{dir: dir, ends: make(chan int, f.workers)}
	if err := c.start(f, last+1); err != nil {
		c.signal(syscall.SIGKILL)
		return fmt.Errorf("--workers: %w", err)
	}
	if err := c.wait(ctx); err != nil {
		return err
	}
	m, err := checkpoint.LoadResult(f.output, name)
	if err != nil || m == nil {
		return err
	}
	for _, w := range m.Warnings { // worker 0 has told them
		told[w] = true
	}
	return nil
}

// start the processes. Each ends when this one does, however that happens: its standard input is a pipe from here.
func (c *team) start(f runFlags, attempt int32) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails (crypto/rand)
	key := filepath.Join(c.dir, "key")
	if err := os.WriteFile(key, []byte(hex.EncodeToString(secret)), 0o600); err != nil {
		return err
	}
	coordinator, err := localAddress()
	if err != nil {
		return err
	}
	for rank := range f.workers {
		listen := "127.0.0.1:0"
		if rank == 0 {
			listen = coordinator
		}
		cmd := exec.Command(self, slices.Insert(slices.Clone(os.Args[1:]), 1, memberFlag)...) //nolint:noctx // this program; it is told to save
		cmd.Env = append(os.Environ(),
			contract.EnvWorkers+"="+strconv.Itoa(f.workers), contract.EnvRank+"="+strconv.Itoa(rank), contract.EnvCoordinator+"="+coordinator,
			contract.EnvCollective+"="+listen, contract.EnvCollectiveKey+"="+key, contract.EnvAttempt+"="+strconv.Itoa(int(attempt)),
			contract.EnvThreads+"="+strconv.Itoa(share(f.threads, f.workers, rank)), contract.EnvTerminationPath+"="+c.message(rank))
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is this one's, which passes it on
		if _, err := cmd.StdinPipe(); err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		c.all = append(c.all, cmd)
		go func() {
			_ = cmd.Wait() // its state says it
			c.ends <- rank
		}()
	}
	return nil
}

// localAddress of this machine alone.
func localAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// share of threads that one of several gets: the first ones one more where they cannot be divided.
func share(threads, workers, rank int) int {
	n := threads / workers
	if rank < threads%workers {
		n++
	}
	return n
}

func (c *team) message(rank int) string { return filepath.Join(c.dir, "message-"+strconv.Itoa(rank)) }

func (c *team) signal(s os.Signal) {
	for _, cmd := range c.all {
		_ = cmd.Process.Signal(s) // it may have ended
	}
}

// wait until all have ended, and give the error of the one that was the first cause. Those whom the context's end has told to
// stop may take as long as their step and the save.
func (c *team) wait(ctx context.Context) error {
	var failed []int // in the order of their ends
	var tell, kill <-chan time.Time
	stop := ctx.Done()
	for range c.all {
		for ended := false; !ended; {
			select {
			case rank := <-c.ends:
				ended = true
				if c.all[rank].ProcessState.Success() {
					continue
				}
				if failed = append(failed, rank); len(failed) == 1 && stop != nil {
					tell, kill = time.After(loseTime), time.After(endTime)
				}
			case <-stop:
				stop = nil
				c.signal(signalOf(context.Cause(ctx)))
			case <-tell:
				if stop != nil {
					c.signal(syscall.SIGTERM)
				}
			case <-kill:
				c.signal(syscall.SIGKILL)
			}
		}
	}
	return c.cause(failed, context.Cause(ctx))
}

// signalOf a stop's cause.
func signalOf(cause error) os.Signal {
	if contract.ExitCode(cause) == contract.ExitInterrupt {
		return syscall.SIGINT
	}
	return syscall.SIGTERM
}

// cause of the failure of all: that of the first to fail but by the loss of another. Of those that were stopped worker 0 knows
// what was saved; that they were told to, told says, or is nil.
func (c *team) cause(failed []int, told error) error {
	if len(failed) == 0 {
		return nil
	}
	first := failed[0]
	for _, rank := range failed {
		if c.all[rank].ProcessState.ExitCode() != contract.ExitPeerLost {
			first = rank
			break
		}
	}
	code := c.all[first].ProcessState.ExitCode()
	if code > 0 && c.all[0].ProcessState.ExitCode() == code {
		first = 0
	}
	if told != nil && code == contract.ExitCode(told) { // worker 0 may have learned of it from another first
		return c.stopped(told)
	}
	return c.failure(first)
}

// stopped is that all were told to stop, with what worker 0 has saved.
func (c *team) stopped(told error) error {
	if m, ok := c.said(0); ok {
		return stage.WithCheckpoint(told, m)
	}
	return told
}

// said is the message that a worker has left; false: it left none.
func (c *team) said(rank int) (m contract.TerminationMessage, ok bool) {
	raw, err := os.ReadFile(c.message(rank))
	return m, err == nil && json.Unmarshal(raw, &m) == nil
}

// failure of one of several: what it left, or how it ended.
func (c *team) failure(rank int) error {
	state := c.all[rank].ProcessState
	if m, ok := c.said(rank); ok && m.Message != "" {
		return contract.Errorf(int(m.ExitCode), m.Reason, "%s", m.Message)
	}
	const after = "and the others with it; what was saved stays, and the same command goes on from there"
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		hint := ""
		if s.Signal() == syscall.SIGKILL {
			hint = ", as the system does where memory is out"
		}
		return contract.Errorf(contract.ExitPeerLost, "WorkerKilled", "worker %d of %d was ended by signal %d (%v%s), %s", rank, len(c.all), s.Signal(), s.Signal(), hint, after)
	}
	return contract.Errorf(contract.ExitPeerLost, "WorkerFailed", "worker %d of %d ended (%v), %s", rank, len(c.all), state, after)
}

// untilOrphaned waits for the end of what started this process, which then stops as by SIGTERM.
func untilOrphaned(stdin io.Reader) {
	if _, err := io.Copy(io.Discard, stdin); err == nil || errors.Is(err, io.ErrClosedPipe) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM) // it exists
	}
}
