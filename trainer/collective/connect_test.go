package collective

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/test/host"
)

// connected workers of one group, each of which starts as start says, while meanwhile goes on.
func connected(t *testing.T, at string, size int, start func(rank int), log *slog.Logger) {
	t.Helper()
	var wg sync.WaitGroup
	for rank := range size {
		wg.Go(func() {
			start(rank)
			c := config(at, rank, size)
			c.Log = log
			g, err := Connect(t.Context(), c)
			if err != nil {
				t.Errorf("worker %d: %v", rank, err)
				return
			}
			v := []float32{1}
			if err := g.AllReduceSum(t.Context(), v); err != nil || int(v[0]) != size {
				t.Errorf("worker %d: sum %v, %v", rank, v, err)
			}
			_ = g.Close()
		})
	}
	wg.Wait()
}

// Workers start one after the other, the one that all ask last or first.
func TestLateStarters(t *testing.T) {
	nothingLeft(t)
	for name, order := range map[string][]int{"rank 0 last": {2, 1, 0}, "rank 0 first": {0, 2, 1}} {
		t.Run(name, func(t *testing.T) {
			connected(t, host.FreeAddress(t), 3, func(rank int) { time.Sleep(time.Duration(order[rank]) * 700 * time.Millisecond) }, nil)
		})
	}
}

// strangers knock in every way that a handshake can go wrong, and stay.
func strangers(stop context.Context, t *testing.T, at string) {
	t.Helper()
	greetings := []string{"", "GET / HTTP/1.1\r\n\r\n", magic, magic + strings.Repeat("x", nonceSize), magic + strings.Repeat("x", nonceSize+introductionSize+32), strings.Repeat("\xff", 1<<16)}
	var conns []net.Conn
	for i := 0; stop.Err() == nil; i++ {
		conn, err := (&net.Dialer{}).DialContext(stop, "tcp", at)
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		_, _ = conn.Write([]byte(greetings[i%len(greetings)]))
		if conns = append(conns, conn); len(conns) > 3*maxKnocking {
			_ = conns[0].Close()
			conns = conns[1:]
		}
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

// Strangers neither join nor crash a group, nor keep it from coming together.
func TestStrangers(t *testing.T) {
	nothingLeft(t)
	at := host.FreeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { strangers(ctx, t, at) })
	}
	var log bytes.Buffer
	within(t, 20*time.Second, "connecting among strangers", func() {
		connected(t, at, 3, func(rank int) { time.Sleep(time.Duration(rank) * 500 * time.Millisecond) }, slog.New(slog.NewTextHandler(&locked{w: &log}, nil)))
	})
	stop()
	wg.Wait()
	if !strings.Contains(log.String(), "refused a connection") {
		t.Errorf("the log does not tell of them: %s", log.String())
	}
}

type locked struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// A worker that is not of the attempt, or has another key, joins nobody, whether it asks or is asked; the group comes
// together without it.
func TestOthersNeverJoin(t *testing.T) {
	nothingLeft(t)
	for name, other := range map[string]func(*Config){
		"wrong key":       func(c *Config) { c.Key = bytes.Repeat([]byte("x"), 32) },
		"earlier attempt": func(c *Config) { c.Attempt-- },
		"another run":     func(c *Config) { c.Run = "other" },
		"another stage":   func(c *Config) { c.Stage = "one-percent" },
		"another size":    func(c *Config) { c.Size++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := host.FreeAddress(t)
			ctx, stop := context.WithCancelCause(t.Context())
			gone := errors.New("the pod is gone")
			var wg sync.WaitGroup
			wg.Go(func() {
				c := config(at, 1, 2)
				other(&c)
				if _, err := Connect(ctx, c); !errors.Is(err, gone) {
					t.Errorf("it got %v", err)
				}
			})
			connected(t, at, 2, func(rank int) { time.Sleep(time.Duration(rank) * 500 * time.Millisecond) }, nil)
			stop(gone)
			wg.Wait()
			c := config(at, 0, 2) // the other way round: rank 0 is another's
			other(&c)
			c.Times.Wait = time.Second
			wg.Go(func() {
				_, err := Connect(t.Context(), c)
				wantLost(t, err, 1, "did not join within 1s")
			})
			d := config(at, 1, 2)
			d.Times.Wait = time.Second
			_, err := Connect(t.Context(), d)
			wantLost(t, err, 0, at)
			wg.Wait()
		})
	}
}

// Who does not come is named, on all workers that did.
func TestWhoDoesNotCome(t *testing.T) {
	nothingLeft(t)
	at := host.FreeAddress(t)
	var wg sync.WaitGroup
	for _, rank := range []int{0, 1} {
		wg.Go(func() {
			c := config(at, rank, 3)
			if c.Times.Wait = time.Second; rank == 1 {
				c.Times.Wait = time.Minute
			}
			_, err := Connect(t.Context(), c)
			wantLost(t, err, 2, "workers [2] did not join within 1s")
		})
	}
	wg.Wait()
}

// A worker that is replaced while the others wait is not missed.
func TestAReplacementJoins(t *testing.T) {
	nothingLeft(t)
	at := host.FreeAddress(t)
	ctx, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(500*time.Millisecond, func() { stop(errors.New("evicted")) })
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := Connect(ctx, config(at, 1, 3)); err == nil || err.Error() != "evicted" {
			t.Errorf("the first worker 1: %v", err)
		}
	})
	connected(t, at, 3, func(rank int) { time.Sleep([]time.Duration{0, time.Second, 1500 * time.Millisecond}[rank]) }, nil)
	wg.Wait()
}

// Names that cannot be resolved are tried again, and named at last.
func TestNamesThatDoNotExistYet(t *testing.T) {
	nothingLeft(t)
	c := config("w-0.no-such-run.invalid:7070", 1, 2)
	c.Times.Wait = 700 * time.Millisecond
	_, err := Connect(t.Context(), c)
	wantLost(t, err, 0, "w-0.no-such-run.invalid")
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"size":    func(c *Config) { c.Size = 1 },
		"rank":    func(c *Config) { c.Rank = 2 },
		"key":     func(c *Config) { c.Key = nil },
		"address": func(c *Config) { c.Coordinator = "nowhere" },
		"listen":  func(c *Config) { c.Listen = "256.0.0.1:1" },
	} {
		c := config("127.0.0.1:1", 0, 2)
		change(&c)
		if _, err := Connect(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestReadKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if _, err := ReadKey(file); err == nil {
		t.Error("no error of a file that is not there")
	}
	for text, want := range map[string]string{"6b6579\n": "key", "secret": ""} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadKey(file)
		if string(got) != want && err == nil || (want == "") != (err != nil) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}
