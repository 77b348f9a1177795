package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"log/slog"
	"os"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
)

// workers that do the step together, each a process of this program.
type workers struct {
	rank, size          int
	coordinator, listen string
	statistics          string
	overlap             bool
}

func (w *workers) flags() {
	flag.IntVar(&w.size, "workers", 1, "that do the step together, each with as many images")
	flag.IntVar(&w.rank, "rank", 0, "of this one")
	flag.StringVar(&w.coordinator, "coordinator", "", "HOST:PORT of rank 0")
	flag.StringVar(&w.listen, "listen", "127.0.0.1:0", "HOST:PORT that the others reach this one at")
	flag.StringVar(&w.statistics, "statistics", "Global", "of batch norm: Global or Worker")
	flag.BoolVar(&w.overlap, "overlap", true, "sum gradients while the backward pass makes others")
}

// connect with the others.
func (w *workers) connect() (collective.Collective, error) {
	if w.size == 1 {
		return collective.Single{}, nil
	}
	key := sha256.Sum256([]byte("a benchmark's workers")) // on a machine of its own they have no secret
	c := collective.Config{
		Rank: w.rank, Size: w.size, Coordinator: w.coordinator, Listen: w.listen, Key: key[:], Run: "bench",
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if w.rank == 0 {
		c.Listen = w.coordinator
	}
	return collective.Connect(context.Background(), c)
}

// waits are the seconds of a step that a worker waits for others, and exchanges with them.
type waits struct {
	Gather float64 `json:"gatherSeconds,omitempty"` // of z
	Norm   float64 `json:"normSeconds,omitempty"`   // of batch norm over all workers
	Reduce float64 `json:"reduceSeconds,omitempty"` // of gradients
}

// timed is a collective whose calls are timed.
type timed struct {
	collective.Collective
	z int // values of a worker's z
	waits
}

// AllGather of z, or of what batch norm over all workers exchanges.
func (t *timed) AllGather(ctx context.Context, local []float32) ([][]float32, error) {
	begin := time.Now()
	all, err := t.Collective.AllGather(ctx, local)
	if took := time.Since(begin).Seconds(); len(local) == t.z {
		t.Gather += took
	} else {
		t.Norm += took
	}
	return all, err
}

// concurrent is a timed collective with another beside it.
type concurrent struct{ *timed }

// Beside is not timed: what a step waits for is.
func (c concurrent) Beside() collective.Collective {
	return c.Collective.(collective.Concurrent).Beside()
}

// overlapping where it is wanted and can be.
func (t *timed) overlapping(wanted bool) collective.Collective {
	if _, ok := t.Collective.(collective.Concurrent); wanted && ok {
		return concurrent{t}
	}
	return t
}

// mean of so many steps.
func (t *timed) mean(steps int) waits {
	n := float64(steps)
	return waits{t.Gather / n, t.Norm / n, t.Reduce / n}
}
