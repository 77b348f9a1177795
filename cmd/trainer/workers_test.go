package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/test/host"
)

// crew is several workers of a run, each as in a pod of its own: only worker 0 has the output.
type crew struct {
	*pod
	size int
	key  string
}

// ofWorkers is a pretraining that takes seconds and saves every second.
const ofWorkers = "  pretraining: {epochs: 60}\n  linearEvaluation: {mode: Disabled}\n  checkpoint: {intervalSeconds: 1, keep: 3}\n"

func newCrew(t *testing.T, size int) *crew {
	t.Helper()
	return &crew{pod: newPod(t, ofWorkers), size: size, key: write(t, filepath.Join(t.TempDir(), "key"), strings.Repeat("5a", 32))}
}

func (c *crew) message(rank int) string {
	return filepath.Join(filepath.Dir(c.messages), fmt.Sprint("message-", rank))
}

// started workers of an attempt.
type started struct {
	*exec.Cmd
	out, err *bytes.Buffer
	done     chan struct{}
}

func (c *crew) start(stage, attempt string) []*started {
	c.t.Helper()
	coordinator := host.FreeAddress(c.t)
	var all []*started
	for rank := range c.size {
		cmd, out, stderr := command("stage", "--run", c.file, "--stage", stage)
		w := &started{cmd, out, stderr, make(chan struct{})}
		env := append(c.env(attempt), contract.EnvWorkers+"="+fmt.Sprint(c.size), contract.EnvRank+"="+fmt.Sprint(rank), contract.EnvThreads+"=1",
			contract.EnvCoordinator+"="+coordinator, contract.EnvCollective+"=127.0.0.1:0", contract.EnvCollectiveKey+"="+c.key,
			contract.EnvTerminationPath+"="+c.message(rank))
		if rank == 0 {
			env = append(env, contract.EnvCollective+"="+coordinator)
		} else {
			env = append(env, contract.EnvHTTPAddress+"=127.0.0.1:0", contract.EnvOutput+"=/nowhere/at/all")
		}
		w.Env = env
		if err := w.Start(); err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { _ = w.Process.Kill() })
		go func() {
			_ = w.Wait() // the exit code says it
			close(w.done)
		}()
		all = append(all, w)
	}
	return all
}

func (w *started) ended(t *testing.T, limit time.Duration) ended {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(limit):
		t.Fatalf("a worker goes on after %v", limit)
	}
	return ended{w.ProcessState.ExitCode(), w.out.String(), w.err.String()}
}

func (c *crew) left(rank int) (m contract.TerminationMessage) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(read(c.t, c.message(rank))), &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// encoder that a crew ends with.
func (c *crew) encoder() string {
	c.t.Helper()
	return read(c.t, filepath.Join(c.output, "encoder", "model.safetensors"))
}

// all workers of an attempt end with 0.
func (c *crew) completes(attempt string) {
	c.t.Helper()
	for rank, w := range c.start("pretrain", attempt) {
		w.ended(c.t, time.Minute).wants(c.t, contract.ExitDone)
		if m := c.left(rank); (m.Results != nil) != (rank == 0) {
			c.t.Errorf("worker %d left the results %v", rank, m.Results)
		}
	}
}

// untilSaved waits for a checkpoint, and some steps more.
func (c *crew) untilSaved(workers []*started) {
	c.t.Helper()
	for begin := time.Now(); latest(c.t, c.output, "pretrain") == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			c.t.Fatal("no checkpoint in a minute")
		}
		for _, w := range workers {
			select {
			case <-w.done:
				c.t.Fatalf("a worker ended before a checkpoint: %v\n%s", w.ProcessState, w.err)
			default:
			}
		}
	}
	time.Sleep(200 * time.Millisecond)
}

// Whichever worker is killed, or told to stop, the others end in time and with the contract's codes; all started again go on
// to the very encoder of workers that were not disturbed. Called again, all say that it is done.
func TestWorkersThatAreDisturbed(t *testing.T) {
	undisturbed := newCrew(t, 2)
	if undisturbed.completes("1"); t.Failed() {
		return
	}
	for name, tc := range map[string]struct {
		signal syscall.Signal
		rank   int
		codes  [2]int
	}{
		"worker 1 is killed":  {syscall.SIGKILL, 1, [2]int{contract.ExitPeerLost, -1}},
		"worker 0 is killed":  {syscall.SIGKILL, 0, [2]int{-1, contract.ExitPeerLost}},
		"worker 1 is stopped": {syscall.SIGTERM, 1, [2]int{contract.ExitTerminate, contract.ExitTerminate}},
		"worker 0 is stopped": {syscall.SIGTERM, 0, [2]int{contract.ExitTerminate, contract.ExitTerminate}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &crew{pod: undisturbed.pod, size: 2, key: undisturbed.key}
			moved := *c.pod // the same run with an output of its own
			moved.t, moved.output, moved.messages, moved.address = t, filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "message"), host.FreeAddress(t)
			c.pod = &moved
			workers := c.start("pretrain", "1")
			c.untilSaved(workers)
			if err := workers[tc.rank].Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			for rank, w := range workers {
				w.ended(t, 20*time.Second).wants(t, tc.codes[rank])
				if tc.codes[rank] != contract.ExitPeerLost {
					continue
				}
				if m := c.left(rank); m.Reason != "PeerLost" || !strings.Contains(m.Message, fmt.Sprintf("worker %d is lost", tc.rank)) {
					t.Errorf("worker %d left %+v", rank, m)
				}
			}
			c.completes("2")
			if m := c.left(0); m.ResumedFrom == nil || *m.ResumedFrom == 0 {
				t.Errorf("it began anew: %+v", m)
			}
			if c.encoder() != undisturbed.encoder() {
				t.Error("the encoder differs from that of workers that were not disturbed")
			}
			c.completes("3")
		})
	}
}

// Two workers make the step that one does, with the same images: the loss after it is the same but for rounding. (Over many steps on so
// little data rounding grows to percents.)
func TestTwoWorkersLearnWhatOneDoes(t *testing.T) {
	one, two := newCrew(t, 1), newCrew(t, 2)
	few := strings.NewReplacer("epochs: 60", "epochs: 2", "batchSize: 8", "batchSize: 128").Replace(read(t, one.file)) // a step each
	write(t, one.file, few)
	write(t, two.file, few)
	e, m := one.stage("pretrain", "1", nil)
	e.wants(t, contract.ExitDone)
	if two.completes("1"); t.Failed() {
		return
	}
	want, got := loss(t, m), loss(t, two.left(0))
	if math.Abs(got-want) > 1e-3*want {
		t.Errorf("two workers end with the loss %v, one with %v", got, want)
	}
}

func loss(t *testing.T, m contract.TerminationMessage) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(m.Results.PretrainingLoss, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A run that two workers began goes on with one, which says that it is not exact.
func TestFewerWorkersGoOn(t *testing.T) {
	c := newCrew(t, 2)
	workers := c.start("pretrain", "1")
	c.untilSaved(workers)
	if err := workers[0].Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, w := range workers {
		w.ended(t, 20*time.Second).wants(t, contract.ExitTerminate)
	}
	e, m := c.stage("pretrain", "2", nil)
	e.wants(t, contract.ExitDone)
	if m.ResumedFrom == nil || !strings.Contains(strings.Join(m.Warnings, " "), "2 workers, now 1") {
		t.Errorf("message %+v", m)
	}
}

// The later stages have one worker; where there are more, the others have nothing to do.
func TestOtherStagesNeedOneWorker(t *testing.T) {
	p := newPod(t, ofWorkers)
	c, out, stderr := command("stage", "--run", p.file, "--stage", "pretrain")
	c.Env = append(p.env("1"), contract.EnvWorkers+"=2", contract.EnvRank+"=2")
	_ = c.Run() // the exit code says it
	ended{c.ProcessState.ExitCode(), out.String(), stderr.String()}.wants(t, contract.ExitUserError)
	if m := read(t, p.messages); !strings.Contains(m, contract.EnvRank) {
		t.Errorf("message %s", m)
	}
	if _, err := os.Stat(p.output); err == nil {
		t.Error("it made an output")
	}
}
