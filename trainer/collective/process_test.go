package collective

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/test/host"
)

const workerEnv = "COLLECTIVE_TEST_WORKER"

// The test's own program is the worker of the tests below.
func TestMain(m *testing.M) {
	if raw := os.Getenv(workerEnv); raw != "" {
		os.Exit(work(raw))
	}
	os.Exit(m.Run())
}

// work sums, or waits for a key that nobody puts, until there is an error, which it says.
func work(worker string) int {
	var rank, size int
	var at, what string
	_, err := fmt.Sscan(worker, &rank, &size, &at, &what)
	if err == nil {
		c := config(at, rank, size)
		c.Times.Lost = 3 * time.Second
		var g *Group
		if g, err = Connect(context.Background(), c); err == nil {
			if what == "get" {
				fmt.Println("ready")
				_, err = g.KeyValues().Get(context.Background(), "none", time.Hour)
			}
			for n := 0; err == nil; n++ {
				if err = g.AllReduceSum(context.Background(), make([]float32, 300_000)); n == 20 {
					fmt.Println("ready")
				}
			}
			_ = g.Close()
		}
	}
	fmt.Println("error:", err)
	return contract.ExitCode(err)
}

// process is one worker.
type process struct {
	*exec.Cmd
	lines chan string
}

func launch(t *testing.T, at string, rank, size int, what string) *process {
	t.Helper()
	p := &process{exec.Command(os.Args[0]), make(chan string, 100)} // this program; killed below
	p.Env = append(os.Environ(), workerEnv+"="+fmt.Sprintln(rank, size, at, what))
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stderr = os.Stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
	}()
	return p
}

func (p *process) line(t *testing.T) string {
	t.Helper()
	select {
	case line := <-p.lines:
		return line
	case <-time.After(30 * time.Second):
		t.Fatal("a worker hangs")
		return ""
	}
}

// three processes that do what says.
func three(t *testing.T, what string) []*process {
	t.Helper()
	at := host.FreeAddress(t)
	var all []*process
	for rank := range 3 {
		all = append(all, launch(t, at, rank, 3, what))
	}
	for _, p := range all {
		if line := p.line(t); line != "ready" {
			t.Fatal(line)
		}
	}
	return all
}

func signal(t *testing.T, s syscall.Signal, to ...*process) {
	t.Helper()
	for _, p := range to {
		if err := p.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
}

// Workers whose node stands still for a while take nobody for lost: they did not run, and heartbeats came meanwhile or
// come next.
func TestProcessesThatAllStoodStill(t *testing.T) {
	t.Parallel()
	all := three(t, "sum")
	for range 2 {
		signal(t, syscall.SIGSTOP, all...)
		time.Sleep(4 * time.Second)
		signal(t, syscall.SIGCONT, all...)
		time.Sleep(500 * time.Millisecond)
	}
	signal(t, syscall.SIGKILL, all[2])
	for _, p := range all[:2] {
		if line := p.line(t); !strings.Contains(line, "worker 2 is lost: its process has ended") {
			t.Error(line)
		}
	}
}

// What happens to one of three processes is known to both others, in time and by its rank.
func TestAProcessIsLost(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		signal syscall.Signal
		rank   int
		limit  time.Duration // a busy machine may take some of it
		text   string
	}{
		"killed":      {syscall.SIGKILL, 2, 3 * time.Second, "its process has ended"},
		"rank 0":      {syscall.SIGKILL, 0, 3 * time.Second, "its process has ended"},
		"stopped":     {syscall.SIGSTOP, 1, 8 * time.Second, "no heartbeat for 3s"},
		"0 stopped":   {syscall.SIGSTOP, 0, 8 * time.Second, "no heartbeat for 3s"},
		"last killed": {syscall.SIGKILL, 1, 3 * time.Second, "its process has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			all := three(t, "sum")
			begin := time.Now()
			signal(t, tc.signal, all[tc.rank])
			for rank, p := range all {
				if rank == tc.rank {
					continue
				}
				line := p.line(t)
				if took := time.Since(begin); took > tc.limit {
					t.Errorf("worker %d noticed after %v", rank, took)
				}
				if want := fmt.Sprintf("worker %d is lost", tc.rank); !strings.Contains(line, want) || !strings.Contains(line, tc.text) {
					t.Errorf("worker %d: %s, want %q and %q", rank, line, want, tc.text)
				}
				if _ = p.Wait(); p.ProcessState.ExitCode() != contract.ExitPeerLost {
					t.Errorf("worker %d: exit code %d", rank, p.ProcessState.ExitCode())
				}
			}
		})
	}
}
