package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/host"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// Of two workers that are one program neither closes its client before worker 0 has evaluated; then both do. So do they when they are
// stopped.
func TestWorkersOfOneProgramEndTogether(t *testing.T) {
	t.Setenv(contract.EnvPlugin, xlatest.QuickPlugin(t))
	so, log := xlatest.Twins(t), filepath.Join(t.TempDir(), "log")
	t.Setenv("TWIN_LOG", log)
	o, _ := optionsOf(t, onGPUs(t, 2, 2, v1alpha1.AugmentationsHost), v1alpha1.StagePretrain)
	o.Data.Directory = folder(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	o.Log = slog.New(after{slog.DiscardHandler, "epoch", func(slog.Record) { cancel(contract.Errorf(contract.ExitTerminate, "Terminated", "stopped")) }})
	for rank, err := range bothRun(ctx, o, so, host.FreeAddress(t), nil) {
		if contract.ExitCode(err) != contract.ExitTerminate {
			t.Fatalf("worker %d is stopped with %v", rank, err)
		}
	}
	closed := func(lines []string) (ranks []string) {
		for _, l := range lines {
			if rank, is := strings.CutSuffix(l, " closes"); is {
				ranks = append(ranks, rank)
			}
		}
		slices.Sort(ranks)
		return ranks
	}
	both := []string{"0", "1"}
	stopped := noted(t, log)
	if got := closed(stopped); !slices.Equal(got, both) {
		t.Errorf("when they are stopped %v close: %v", got, stopped)
	}
	o.Log, o.Attempt = slog.New(slog.DiscardHandler), 2
	for rank, err := range bothRun(t.Context(), o, so, host.FreeAddress(t), nil) {
		if err != nil {
			t.Fatalf("worker %d: %v", rank, err)
		}
	}
	all := noted(t, log)[len(stopped):]
	last := slices.IndexFunc(all, func(l string) bool { return strings.HasSuffix(l, "closes") })
	if got := closed(all); !slices.Equal(got, both) || last < 1 || slices.Contains(all[last:], "0 computes alone") || !slices.Contains(all[:last], "0 computes alone") {
		t.Errorf("%v close, in this order: %v", got, all)
	}
}

// noted are the lines of what testdata/twin.c notes.
func noted(t *testing.T, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// ofTwo is an engine of one of two processes that computes nothing.
type ofTwo struct {
	engine.Engine
	close func() error
}

func (ofTwo) Processes() int { return 2 }

func (ofTwo) Alone() engine.Engine { return nil }

func (e ofTwo) Close() error { return e.close() }

// What is closed, and what is left to the end of the process.
func TestWhoClosesDevices(t *testing.T) {
	for name, tc := range map[string]struct {
		err            error
		agreed, parted bool
		want           bool
	}{
		"done":                     {nil, false, false, true},
		"stopped with the others":  {errors.New("SIGTERM"), true, false, true},
		"failed":                   {errors.New("the disk is full"), false, false, false},
		"done, and another is not": {nil, false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			closed := false
			o := Options{Log: slog.New(slog.DiscardHandler)}
			r := &runner{Options: o, workers: someWorkers{size: 2}, agreed: tc.agreed, parted: tc.parted,
				engine: ofTwo{close: func() error { closed = true; return nil }}}
			if r.end(tc.err); closed != tc.want {
				t.Errorf("closed: %v", closed)
			}
		})
	}
}

// Devices that do not close keep no worker for long, and the other worker's process does not end before that.
func TestDevicesThatDoNotClose(t *testing.T) {
	t.Parallel()
	coordinator, begun := host.FreeAddress(t), time.Now()
	base, _ := optionsOf(t, onGPUs(t, 2, 2, v1alpha1.AugmentationsHost), v1alpha1.StagePretrain)
	var workers sync.WaitGroup
	for rank := range 2 {
		workers.Go(func() {
			o := twin(base, rank, coordinator, [2]string{})
			_, err := o.together(t.Context(), func(ctx context.Context, w collective.Collective) (*contract.TerminationMessage, error) {
				r := &runner{Options: o, workers: w, engine: ofTwo{close: func() error {
					if rank == 0 {
						<-t.Context().Done() // when the test is over
					}
					return nil
				}}}
				err := r.finished(ctx)
				r.end(err)
				return nil, err
			})
			if took := time.Since(begun); err != nil || took < closeTime || took > closeTime+5*time.Second {
				t.Errorf("worker %d ends after %v with %v", rank, took, err)
			}
		})
	}
	workers.Wait()
}

// envWaiting is RANK ADDRESS SECONDS of a worker that is a process of its own.
const envWaiting = "SIMCLR_TEST_WAITING"

// While worker 0 evaluates and worker 1 waits for it: whichever is killed, the other knows at once; whichever is told to stop, both stop.
// Who waits computes nothing.
func TestWaitingForWorker0(t *testing.T) {
	if which := os.Getenv(envWaiting); which != "" {
		waiting(t, strings.Fields(which))
		return
	}
	for name, tc := range map[string]struct {
		signal syscall.Signal // 0: none
		rank   int
		codes  [2]int
	}{
		"nothing happens":         {0, 0, [2]int{0, 0}},
		"worker 0 is killed":      {syscall.SIGKILL, 0, [2]int{-1, contract.ExitPeerLost}},
		"who waits is killed":     {syscall.SIGKILL, 1, [2]int{contract.ExitPeerLost, -1}},
		"worker 0 is to stop":     {syscall.SIGTERM, 0, [2]int{contract.ExitTerminate, contract.ExitTerminate}},
		"who waits is to stop":    {syscall.SIGTERM, 1, [2]int{contract.ExitTerminate, contract.ExitTerminate}},
		"worker 0 is interrupted": {syscall.SIGINT, 0, [2]int{contract.ExitInterrupt, contract.ExitInterrupt}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			coordinator, seconds := host.FreeAddress(t), 60
			if tc.signal == 0 {
				seconds = 3
			}
			var all [2]*exec.Cmd
			for rank := range all {
				c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWaitingForWorker0$")
				c.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %d", envWaiting, rank, coordinator, seconds))
				all[rank] = c
			}
			heard, err := all[1].StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range all {
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
			}
			if line, err := bufio.NewReader(heard).ReadString('\n'); err != nil || line != "waits\n" {
				t.Fatalf("%q, %v", line, err)
			}
			begun := time.Now()
			if tc.signal != 0 {
				time.Sleep(500 * time.Millisecond) // it says so before it does
				if err := all[tc.rank].Process.Signal(tc.signal); err != nil {
					t.Fatal(err)
				}
			}
			go func() { _, _ = io.Copy(io.Discard, heard) }()
			for rank, c := range all {
				_ = c.Wait() // the exit code says it
				if code := c.ProcessState.ExitCode(); code != tc.codes[rank] {
					t.Errorf("worker %d ends with %d, want %d", rank, code, tc.codes[rank])
				}
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
			if s := all[1].ProcessState; s.UserTime()+s.SystemTime() > time.Second {
				t.Errorf("who waits computed for %v and %v", s.UserTime(), s.SystemTime())
			}
		})
	}
}

// waiting is a worker's process: worker 0 evaluates for some seconds, worker 1 waits for it.
func waiting(t *testing.T, which []string) {
	base, _ := optionsOf(t, onGPUs(t, 2, 2, v1alpha1.AugmentationsHost), v1alpha1.StagePretrain)
	seconds, err := strconv.Atoi(which[2])
	if err != nil {
		t.Fatal(err)
	}
	rank := map[string]int{"0": 0, "1": 1}[which[0]]
	o := twin(base, rank, which[1], [2]string{})
	o.Abandon = func(err error) { os.Exit(contract.ExitCode(err)) } //nolint:revive // as cmd/trainer does
	ctx, cancel := context.WithCancelCause(t.Context())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		if <-signals == syscall.SIGTERM {
			cancel(contract.Errorf(contract.ExitTerminate, "Terminated", "SIGTERM"))
		}
		cancel(contract.Errorf(contract.ExitInterrupt, "Interrupted", "SIGINT"))
	}()
	_, err = o.together(ctx, func(ctx context.Context, w collective.Collective) (*contract.TerminationMessage, error) {
		r := &runner{Options: o, workers: w, engine: ofTwo{close: func() error { return nil }}}
		var err error
		if rank > 0 {
			fmt.Println("waits")
		} else {
			select {
			case <-time.After(time.Duration(seconds) * time.Second):
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if err == nil {
			err = r.finished(ctx)
		}
		r.end(err)
		return nil, err
	})
	os.Exit(contract.ExitCode(err)) //nolint:revive // as cmd/trainer does
}
