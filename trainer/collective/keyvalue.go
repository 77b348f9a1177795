package collective

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// KeyValues is a store that worker 0 serves and all workers of a group use: what one puts, all can get. XLA finds the other
// processes of one program by it, and NCCL its peers (trainer/engine/xla). Calls may be made at the same time, and beside
// collectives. None outlasts the group: each then gives the group's error.
type KeyValues struct{ g *Group }

// The errors of a store, beside the group's.
var (
	ErrNoKey    = errors.New("no worker has put this key in time")
	ErrKeyTaken = errors.New("this key has another value already")
	ErrTooMuch  = errors.New("it is more than the store takes")
)

// The limits of a store. A topology of a thousand devices is some 100 KB, and the name of a group of as many 10 KB.
const (
	KeyLimit   = 64 << 10  // bytes of a key
	ValueLimit = 16 << 20  // bytes of a value
	storeLimit = 256 << 20 // bytes of all
	keyCost    = 64        // bytes that a key takes beside its own
	askLimit   = 1024      // requests of a worker that wait at once
	mostWait   = 24 * time.Hour
)

// KeyValues of the group.
func (g *Group) KeyValues() KeyValues { return KeyValues{g} }

// Put gives a key its value. That it has the same one already is no error.
func (k KeyValues) Put(ctx context.Context, key string, value []byte) error {
	if len(key) > KeyLimit || len(value) > ValueLimit {
		return fmt.Errorf("a key of %d bytes with a value of %d: %w", len(key), len(value), ErrTooMuch)
	}
	_, err := k.ask(ctx, request{put, 0, key, value})
	return named(key, err)
}

// Get gives a key's value, and waits so long for it: 0 looks once.
func (k KeyValues) Get(ctx context.Context, key string, wait time.Duration) ([]byte, error) {
	if len(key) > KeyLimit {
		return nil, fmt.Errorf("a key of %d bytes: %w", len(key), ErrTooMuch)
	}
	value, err := k.ask(ctx, request{get, min(max(wait, 0), mostWait), key, nil})
	return value, named(key, err)
}

// named puts the key into an error that is about it.
func named(key string, err error) error {
	if isStatus(err) {
		return fmt.Errorf("%q: %w", key[:min(len(key), 200)], err)
	}
	return err
}

// ask worker 0, which may be this one.
func (k KeyValues) ask(ctx context.Context, r request) ([]byte, error) {
	if err := k.g.state(); err != nil {
		return nil, err
	}
	if k.g.c.Rank > 0 {
		return k.g.desks[0].ask(ctx, r)
	}
	value, err := k.g.store.serve(ctx, r, k.g.over)
	if errors.Is(err, errOver) {
		return nil, k.g.state()
	}
	return value, err
}

// store is worker 0's.
type store struct {
	mu      sync.Mutex
	values  map[string][]byte
	bytes   int
	changed chan struct{} // closed at the next put
}

func newStore() *store {
	return &store{values: map[string][]byte{}, changed: make(chan struct{})}
}

var errOver = errors.New("the group has ended")

// serve a request, until over is closed or the context ends.
func (s *store) serve(ctx context.Context, r request, over <-chan struct{}) ([]byte, error) {
	if r.kind == put {
		return nil, s.put(r.key, r.value)
	}
	end := time.NewTimer(r.wait)
	defer end.Stop()
	for {
		value, there, changed := s.look(r.key)
		if there {
			return value, nil
		}
		if r.wait == 0 {
			return nil, ErrNoKey
		}
		select {
		case <-changed:
		case <-end.C:
			return nil, fmt.Errorf("%w: waited for %v", ErrNoKey, r.wait)
		case <-over:
			return nil, errOver
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *store) put(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, there := s.values[key]; there {
		if bytes.Equal(old, value) {
			return nil
		}
		return ErrKeyTaken
	}
	size := keyCost + len(key) + len(value)
	if size > storeLimit-s.bytes {
		return fmt.Errorf("%w: it has %d bytes of at most %d", ErrTooMuch, s.bytes, storeLimit)
	}
	s.bytes += size
	s.values[key] = bytes.Clone(value)
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// look for a key; changed is closed at the next put.
func (s *store) look(key string) (value []byte, there bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, there = s.values[key]
	return value, there, s.changed
}
