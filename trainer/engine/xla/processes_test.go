package xla

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// twins are two plugins that stand in for those of two processes: testdata/twin.c over XLA's backend for CPUs.
func twins(t *testing.T) [2]string {
	t.Helper()
	t.Setenv("TWIN_OF", xlatest.QuickPlugin(t))
	_, file, _, _ := runtime.Caller(0)
	var so [2]string
	for i := range so {
		so[i] = filepath.Join(t.TempDir(), "twin.so") // each has variables of its own
		if out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-I", filepath.Dir(file), "-o", so[i],
			filepath.Join(filepath.Dir(file), "testdata", "twin.c"), "-ldl", "-lpthread").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return so
}

// connected gives each of two workers, connected over TCP, its part of one program.
func connected(t *testing.T, f func(p *Processes)) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	var wg sync.WaitGroup
	for rank := range 2 {
		wg.Go(func() {
			c := collective.Config{Rank: rank, Size: 2, Coordinator: at, Listen: "127.0.0.1:0", Key: make([]byte, 32), Times: collective.Times{Wait: time.Minute}}
			if rank == 0 {
				c.Listen = at
			}
			g, err := collective.Connect(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			f(&Processes{Rank: rank, Size: 2, Store: g.KeyValues()})
			if err := g.Barrier(t.Context()); err != nil {
				t.Error(err)
			}
			_ = g.Close()
		})
	}
	wg.Wait()
}

// Two clients find each other by the store that the workers have, and are told by XLA's codes what it refuses.
func TestClientsFindEachOther(t *testing.T) {
	so := twins(t)
	connected(t, func(p *Processes) {
		e, err := New(Options{Plugin: so[p.Rank], Client: p.GPUOptions(), Processes: p})
		if err != nil {
			t.Errorf("process %d: %v", p.Rank, err)
			return
		}
		if got := e.Info().Devices; got != 2 {
			t.Errorf("process %d has %d devices", p.Rank, got)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A client that waits for a process that never comes ends with its context.
func TestAClientDoesNotWaitForEver(t *testing.T) {
	so := twins(t)
	connected(t, func(p *Processes) {
		if p.Rank == 1 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		p.Context = ctx
		begun := time.Now()
		_, err := New(Options{Plugin: so[0], Client: p.GPUOptions(), Processes: p})
		if err == nil || !strings.Contains(err.Error(), "the store of the run's workers") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it waited %v", took)
		}
	})
}

// XLA's backend for CPUs is no part of several processes by this interface: it refuses the options, and asks no store. Where this
// fails, it can be tested with.
func TestTheBackendForCPUsIsAlone(t *testing.T) {
	if _, err := os.Stat(xlatest.QuickPlugin(t)); err != nil {
		t.Fatal(err)
	}
	p := &Processes{Rank: 0, Size: 2}
	_, err := New(Options{Plugin: xlatest.QuickPlugin(t), Client: p.GPUOptions(), Processes: p})
	if err == nil || !strings.Contains(err.Error(), "Unexpected option name") {
		t.Errorf("error %v", err)
	}
}
