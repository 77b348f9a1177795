package collective

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"
)

// Config of one worker of a group.
type Config struct {
	Rank, Size  int
	Coordinator string // HOST:PORT that rank 0 listens on
	Listen      string // HOST:PORT or :PORT that this worker listens on
	// Key is the secret of the run. Run, Stage, Attempt and Size have to be the same on all workers, too: a worker
	// of another attempt never joins.
	Key     []byte
	Run     string // its UID
	Stage   string
	Attempt int32
	// Units is how much work this worker has finished so far, and Alive is called when another worker has finished
	// some: so that who waits for it is not taken for stalled. Both may be nil.
	Units func() uint64
	Alive func()
	Log   *slog.Logger
	Times Times
}

// Times that a group takes; 0 is the default.
type Times struct {
	Wait     time.Duration // until all workers are there: pods may start minutes apart
	Transfer time.Duration // of one collective, once all workers are in it
	Beat     time.Duration // between two heartbeats
	Lost     time.Duration // without a heartbeat, a worker is lost
}

// The defaults of Times. A worker that is stopped or cut off is known to all within Lost, far below the half
// minute that the contract allows, and a machine that is busy does not keep a heartbeat waiting for so long.
const (
	waitTime     = 15 * time.Minute
	transferTime = 5 * time.Minute
	beatTime     = 2 * time.Second
	lostTime     = 20 * time.Second
)

// MaxSize of a group: each worker has three connections to each other, and one more to rank 0.
const MaxSize = 1024

func (t Times) withDefaults() Times {
	for _, d := range []struct {
		set *time.Duration
		to  time.Duration
	}{{&t.Wait, waitTime}, {&t.Transfer, transferTime}, {&t.Beat, beatTime}, {&t.Lost, lostTime}} {
		if *d.set == 0 {
			*d.set = d.to
		}
	}
	return t
}

// check a configuration, and complete it.
func (c *Config) check() error {
	switch {
	case c.Size < 2 || c.Size > MaxSize:
		return fmt.Errorf("a group of %d workers; it has 2 to %d", c.Size, MaxSize)
	case c.Rank < 0 || c.Rank >= c.Size:
		return fmt.Errorf("rank %d of %d workers; ranks go from 0 to %d", c.Rank, c.Size, c.Size-1)
	case len(c.Key) < 16:
		return fmt.Errorf("the workers' key has %d bytes; it needs 16 or more", len(c.Key))
	}
	if _, _, err := net.SplitHostPort(c.Coordinator); err != nil {
		return fmt.Errorf("the coordinator's address %q is not HOST:PORT: %w", c.Coordinator, err)
	}
	c.Times = c.Times.withDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Units == nil {
		c.Units = func() uint64 { return 0 }
	}
	if c.Alive == nil {
		c.Alive = func() {}
	}
	return nil
}

// ReadKey reads a key from a file, in hex.
func ReadKey(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the workers' key: %w", err)
	}
	key := make([]byte, hex.DecodedLen(len(bytes.TrimSpace(raw))))
	if _, err := hex.Decode(key, bytes.TrimSpace(raw)); err != nil {
		return nil, errors.New("the workers' key in " + path + " is not in hex") // and is not shown
	}
	return key, nil
}
