package collective

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/test/host"
)

var testKey = []byte("0123456789abcdef0123456789abcdef")

// config of a worker of a group in this process.
func config(coordinator string, rank, size int) Config {
	c := Config{
		Rank: rank, Size: size, Coordinator: coordinator, Listen: "127.0.0.1:0", Key: testKey, Run: "uid", Stage: "pretrain", Attempt: 2,
		Times: Times{Wait: 20 * time.Second, Transfer: 20 * time.Second, Beat: 100 * time.Millisecond, Lost: 5 * time.Second},
	}
	if rank == 0 {
		c.Listen = coordinator
	}
	return c
}

// together connects a group, runs f on each worker and closes it. It gives their errors.
func together(t *testing.T, size int, change func(*Config), f func(g *Group) error) []error {
	t.Helper()
	at, errs := host.FreeAddress(t), make([]error, size)
	var wg sync.WaitGroup
	for rank := range size {
		wg.Go(func() {
			c := config(at, rank, size)
			if change != nil {
				change(&c)
			}
			g, err := Connect(t.Context(), c)
			if err != nil {
				errs[rank] = fmt.Errorf("connecting: %w", err)
				return
			}
			errs[rank] = f(g)
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return errs
}

// noErrors of any worker.
func noErrors(t *testing.T, errs []error) {
	t.Helper()
	for rank, err := range errs {
		if err != nil {
			t.Errorf("worker %d: %v", rank, err)
		}
	}
}

// nothingLeft checks at a test's end that no goroutine and no connection is left of it.
func nothingLeft(t *testing.T) {
	t.Helper()
	goroutines, sockets := runtime.NumGoroutine(), openSockets(t)
	t.Cleanup(func() {
		for until := time.Now().Add(10 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			if runtime.NumGoroutine() <= goroutines && openSockets(t) <= sockets {
				return
			}
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines and %d sockets, before it were %d and %d\n%s", runtime.NumGoroutine(), openSockets(t), goroutines, sockets,
			stacks[:runtime.Stack(stacks, true)])
	})
}

func openSockets(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	switch {
	case err != nil && runtime.GOOS != "linux":
		t.Skip("no /proc to count sockets in: this test runs on Linux")
	case err != nil:
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// within a time, or the test fails.
func within(t *testing.T, limit time.Duration, what string, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
