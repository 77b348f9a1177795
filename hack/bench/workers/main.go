// Command workers measures what several workers cost: two processes of one core each beside one with both cores, and beside
// PyTorch's DistributedDataParallel over gloo in the same setting, in turns; and how long a step waits for what the workers
// exchange. `make bench-workers` starts it. Targets are of the ratio, ours/peer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/local"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/steps"
)

const size = 2 // workers, and cores

type options struct {
	output, step, python string
	batches              string
	repetitions          int
	startLimit           time.Duration
}

// A network and batch of which a step is measured.
type network struct {
	name   string
	flags  []string // both programs' flags
	images int      // of all workers
}

// networks of batches, comma-separated: ResNet-18 as for CIFAR-10.
func networks(batches string) ([]network, error) {
	var all []network
	for text := range strings.SplitSeq(batches, ",") {
		images, err := strconv.Atoi(text)
		if err != nil || images < 2*size || images%size != 0 {
			return nil, fmt.Errorf("-batches %s: %q is no multiple of %d workers with at least 2 images each", batches, text, size)
		}
		all = append(all, network{"ResNet-18, 32 px, batch " + text, []string{"--depth", "18", "--stem", "CIFAR", "--size", "32"}, images})
	}
	return all, nil
}

func main() {
	var o options
	flag.StringVar(&o.output, "output", "build/bench", "directory of workers.json and workers-machine.json")
	flag.StringVar(&o.step, "step", "build/bench/step", "our program, hack/bench/trainer/step")
	flag.StringVar(&o.python, "python", "build/bench/venv/bin/python", "the Python that has PyTorch")
	flag.StringVar(&o.batches, "batches", "128,64", "comma-separated: images of a step of all workers")
	flag.IntVar(&o.repetitions, "repetitions", 3, "turns of each program")
	flag.DurationVar(&o.startLimit, "start-limit", 3*time.Minute, "how long a program may take until its first steps are done: torch.compile compiles in them")
	flag.Parse()
	os.Exit(command.Run("workers", func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	if o.repetitions < 1 {
		return errors.New("-repetitions is at least 1")
	}
	networks, err := networks(o.batches)
	if err != nil {
		return err
	}
	cores, err := cores(size)
	if err != nil {
		return err
	}
	b := &bench{options: o, cores: cores}
	if b.Machine, err = report.ThisMachine(size); err != nil {
		return err
	}
	began := time.Now()
	var rows []report.Row
	for _, n := range networks {
		report.Say("%s", n.name)
		more, err := b.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		rows = append(rows, more...)
	}
	b.Seconds = time.Since(began).Seconds()
	if err := report.Write(o.output, "workers", rows, b.Log); err != nil {
		return err
	}
	fmt.Println(b.Machine)
	return report.Table(os.Stdout, rows)
}

type bench struct {
	options
	report.Log
	cores []int
}

// crew are programs that do steps together.
type crew struct {
	name string
	all  []*steps.Program
	// of each step
	rates               []float64 // images/s
	gather, norm, waits []float64 // seconds of the worker that waits least: the others wait for it besides
}

func (c *crew) stop() {
	for _, p := range c.all {
		p.Stop()
	}
}

// turn of some steps.
func (c *crew) turn(n, images int) error {
	for _, p := range c.all {
		if err := p.Begin(n); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	slowest := make([]float64, n)
	for _, p := range c.all {
		seconds, err := p.End()
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		for i, s := range seconds {
			slowest[i] = max(slowest[i], s)
		}
	}
	for _, s := range slowest {
		c.rates = append(c.rates, float64(images)/s)
	}
	least := func(of func(*steps.Program) float64) float64 {
		v := of(c.all[0])
		for _, p := range c.all[1:] {
			v = min(v, of(p))
		}
		return v
	}
	c.gather = append(c.gather, least(func(p *steps.Program) float64 { return p.Gather }))
	c.norm = append(c.norm, least(func(p *steps.Program) float64 { return p.Norm }))
	c.waits = append(c.waits, least(func(p *steps.Program) float64 { return p.Reduce }))
	return nil
}

// start programs that do a step together, each on cores of its own; one has all.
func (b *bench) start(ctx context.Context, name string, workers int, program []string, n network, more ...string) (*crew, error) {
	coordinator, err := local.FreeAddress()
	if err != nil {
		return nil, err
	}
	all := make([]*steps.Program, workers)
	failed := make([]error, workers)
	begun := make(chan int)
	for rank := range workers {
		own := b.cores[rank*len(b.cores)/workers : (rank+1)*len(b.cores)/workers]
		args := append([]string{"taskset", "--cpu-list", list(own), "env", steps.Spin, steps.Cache}, program...)
		args = append(append(args, n.flags...), "--images", strconv.Itoa(n.images/workers), "--threads", strconv.Itoa(len(own)))
		if workers > 1 {
			args = append(args, "--workers", strconv.Itoa(workers), "--rank", strconv.Itoa(rank), "--coordinator", coordinator)
		}
		go func() {
			all[rank], failed[rank] = steps.Start(ctx, b.startLimit, name, append(args, more...)...)
			begun <- rank
		}()
	}
	for range workers {
		<-begun
	}
	c := &crew{name: name, all: slices.DeleteFunc(all, func(p *steps.Program) bool { return p == nil })}
	if err := errors.Join(failed...); err != nil {
		c.stop()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}
