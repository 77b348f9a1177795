package collective

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Every worker puts what it has and gets what all have, many at a time, some before it is there.
func TestKeyValues(t *testing.T) {
	nothingLeft(t)
	const size, keys = 3, 40
	key := func(rank, n int) string { return fmt.Sprintf("local/%d/%d", rank, n) }
	noErrors(t, together(t, size, nil, func(g *Group) error {
		k := g.KeyValues()
		time.Sleep(time.Duration(g.Rank()) * 200 * time.Millisecond) // the last one comes late
		var wg sync.WaitGroup
		errs := make(chan error, 2*size*keys)
		for n := range keys {
			wg.Go(func() {
				errs <- k.Put(t.Context(), key(g.Rank(), n), bytes.Repeat([]byte{byte(g.Rank())}, 1000*n))
			})
			for rank := range size {
				wg.Go(func() {
					got, err := k.Get(t.Context(), key(rank, n), 20*time.Second)
					if err == nil && !bytes.Equal(got, bytes.Repeat([]byte{byte(rank)}, 1000*n)) {
						err = fmt.Errorf("%s has %d bytes of another value", key(rank, n), len(got))
					}
					errs <- err
				})
			}
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				return err
			}
		}
		return g.Barrier(t.Context())
	}))
}

// What cannot be put or got is said, on the worker that serves as on the others, and harms nothing.
func TestWhatAStoreRefuses(t *testing.T) {
	nothingLeft(t)
	for name, tc := range map[string]struct {
		do   func(context.Context, KeyValues) error
		want error
		text string
	}{
		"a key that is not there": {func(ctx context.Context, k KeyValues) error { _, err := k.Get(ctx, "none", 0); return err }, ErrNoKey, `"none"`},
		"nor in time": {func(ctx context.Context, k KeyValues) error {
			_, err := k.Get(ctx, "late", 50*time.Millisecond)
			return err
		}, ErrNoKey, "waited for 50ms"},
		"another value":    {func(ctx context.Context, k KeyValues) error { return k.Put(ctx, "taken", []byte("mine")) }, ErrKeyTaken, `"taken"`},
		"the same value":   {func(ctx context.Context, k KeyValues) error { return k.Put(ctx, "taken", []byte("theirs")) }, nil, ""},
		"too long a value": {func(ctx context.Context, k KeyValues) error { return k.Put(ctx, "big", make([]byte, ValueLimit+1)) }, ErrTooMuch, "16777217"},
		"too long a key":   {func(ctx context.Context, k KeyValues) error { return k.Put(ctx, strings.Repeat("k", KeyLimit+1), nil) }, ErrTooMuch, "65537"},
		"to get too long": {func(ctx context.Context, k KeyValues) error {
			_, err := k.Get(ctx, strings.Repeat("k", KeyLimit+1), 0)
			return err
		}, ErrTooMuch, "65537"},
		"for whom it's off": {func(_ context.Context, k KeyValues) error {
			_, err := k.Get(cancelled(), "none", time.Hour)
			return err
		}, context.Canceled, ""},
	} {
		t.Run(name, func(t *testing.T) {
			noErrors(t, together(t, 2, nil, func(g *Group) error {
				k := g.KeyValues()
				if err := k.Put(t.Context(), "taken", []byte("theirs")); err != nil {
					return err
				}
				err := tc.do(t.Context(), k)
				if !errors.Is(err, tc.want) || err != nil && !strings.Contains(err.Error(), tc.text) {
					t.Errorf("worker %d: error %v, want %v that says %s", g.Rank(), err, tc.want, tc.text)
				}
				if got, err := k.Get(t.Context(), "taken", 0); err != nil || string(got) != "theirs" {
					t.Errorf("worker %d: then %q, %v", g.Rank(), got, err)
				}
				return g.Barrier(t.Context())
			}))
		})
	}
}

// All values of a store together have a limit, and worker 0's memory with them.
func TestAStoreIsFull(t *testing.T) {
	s, value := newStore(), make([]byte, ValueLimit)
	var err error
	puts := 0
	for ; err == nil && puts < 100; puts++ {
		err = s.put(fmt.Sprint(puts), value)
	}
	if !errors.Is(err, ErrTooMuch) || puts != storeLimit/ValueLimit {
		t.Errorf("put %d: error %v", puts, err)
	}
}

// Whoever waits for a key when another worker is lost, or closes, learns of it at once.
func TestAWaitEndsWithTheGroup(t *testing.T) {
	nothingLeft(t)
	for name, tc := range map[string]struct {
		ends int
		how  func(*Group)
	}{
		"worker 0 fails": {0, func(g *Group) { g.Fail(errors.New("out of paper")) }},
		"another fails":  {2, func(g *Group) { g.Fail(errors.New("out of paper")) }},
	} {
		t.Run(name, func(t *testing.T) {
			errs := together(t, 3, nil, func(g *Group) error {
				if g.Rank() == tc.ends {
					time.Sleep(100 * time.Millisecond)
					tc.how(g)
				}
				var err error
				within(t, 3*time.Second, "a wait", func() { _, err = g.KeyValues().Get(t.Context(), "none", time.Hour) })
				return err
			})
			for rank, err := range errs {
				if err == nil || rank != tc.ends && !strings.Contains(err.Error(), fmt.Sprintf("worker %d is lost", tc.ends)) {
					t.Errorf("worker %d: %v", rank, err)
				}
			}
		})
	}
}

// A group that is closed has no store any more, and lets nobody wait.
func TestAStoreIsClosed(t *testing.T) {
	nothingLeft(t)
	noErrors(t, together(t, 2, nil, func(g *Group) error {
		waited := make(chan error, 1)
		go func() {
			_, err := g.KeyValues().Get(t.Context(), "none", time.Hour)
			waited <- err
		}()
		if err := g.Barrier(t.Context()); err != nil {
			return err
		}
		_ = g.Close()
		if err := <-waited; err == nil {
			return errors.New("a wait gave a value")
		}
		if err := g.KeyValues().Put(t.Context(), "k", nil); err == nil {
			return errors.New("a put after the end was taken")
		}
		return nil
	}))
}

// What is sent to a store is never trusted to be of the size that it says.
func TestRequestsThatAreNone(t *testing.T) {
	for name, b := range map[string][]byte{
		"no kind":       requestBytes(1, request{9, 0, "k", nil}),
		"short":         requestBytes(1, request{put, 0, "k", nil})[:10],
		"key cut off":   requestBytes(1, request{put, 0, "key", nil})[:requestSize+1],
		"too long":      requestBytes(1, request{put, 0, strings.Repeat("k", KeyLimit+1), nil}),
		"for ever":      requestBytes(1, request{get, 2 * mostWait, "k", nil}),
		"no value":      requestBytes(1, request{put, 0, "k", []byte("value")}),
		"big value":     requestBytes(1, request{put, 0, "k", make([]byte, ValueLimit+1)}),
		"negative time": requestBytes(1, request{get, -time.Second, "k", nil}),
	} {
		if _, q, err := readRequest(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: it was taken for %v", name, q)
		}
	}
}

// A process that waits for a key of one that is killed, or that has the store, ends with the contract's exit code.
func TestAProcessThatHasTheStoreIsLost(t *testing.T) {
	t.Parallel()
	for name, dies := range map[string]int{"the one that serves": 0, "the one that would put": 2} {
		t.Run(name, func(t *testing.T) {
			all := three(t, "get")
			signal(t, syscall.SIGKILL, all[dies])
			for rank, p := range all {
				if rank == dies {
					continue
				}
				if line, want := p.line(t), fmt.Sprintf("worker %d is lost", dies); !strings.Contains(line, want) {
					t.Errorf("worker %d: %s, want %q", rank, line, want)
				}
				if _ = p.Wait(); p.ProcessState.ExitCode() != contract.ExitPeerLost {
					t.Errorf("worker %d: exit code %d", rank, p.ProcessState.ExitCode())
				}
			}
		})
	}
}
