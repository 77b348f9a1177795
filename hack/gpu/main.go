// Command gpu checks the trainer on an NVIDIA GPU, beside the same step in JAX: `make check-gpu` starts it. What is worth most comes
// first, each check has its limit, and rows are written as they come. No network is needed: `make check-gpu-prepare` has packed all.
// Targets of accuracies and shares are of ours, else of the ratio ours/peer. Exit code 12: there is no GPU.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

type options struct {
	runs.Config
	checks, output, pack       string
	limit                      time.Duration
	images18, images50, size50 int
	steps                      int
	yardstick, cifar10         small
}

// small makes a run smaller than it is meant to be, where it is not 0: for a try on a machine without a GPU.
type small struct{ images, epochs int }

// check is what has been measured so far.
type check struct {
	o    options
	end  time.Time
	rows []report.Row
	machine
}

// machine is what was measured on, and how it went.
type machine struct {
	report.Log
	GPU     string `json:"gpu"`     // and its driver, as nvidia-smi says
	Devices string `json:"devices"` // as simclr-trainer says
}

// A measurement is one of the checks, by worth.
type measurement struct {
	name    string
	limit   time.Duration
	measure func(context.Context, *check) error
}

func (m measurement) called() string { return m.name }

var measurements = []measurement{
	{"parity", 2 * time.Minute, parity},
	{"resnet18", 2 * time.Minute, resnet18},
	{"resnet50", 3 * time.Minute, resnet50},
	{"yardstick", 3 * time.Minute, yardstick},
	{"operators", 2 * time.Minute, operators},
	{"cifar10", time.Hour, cifar10}, // what is left
}

func main() {
	var o options
	o.Flags()
	flag.StringVar(&o.checks, "checks", "", "comma-separated: "+command.Names(measurements, measurement.called)+"; empty: all, in this order")
	flag.StringVar(&o.output, "output", "build/bench", "directory of gpu.json and gpu-machine.json")
	flag.StringVar(&o.pack, "pack", filepath.Dir(os.Args[0]), "directory of what make check-gpu-prepare has packed")
	flag.DurationVar(&o.limit, "limit", 10*time.Minute, "for everything; the last run has as many epochs as fit")
	flag.IntVar(&o.images18, "images18", 1024, "of ResNet-18's step")
	flag.IntVar(&o.images50, "images50", 512, "of ResNet-50's step")
	flag.IntVar(&o.size50, "size50", 224, "of ResNet-50's images, in pixels")
	flag.IntVar(&o.steps, "steps", 10, "that are timed in a turn")
	flag.IntVar(&o.yardstick.images, "yardstick-images", 0, "of the yardstick run; 0: as it says")
	flag.IntVar(&o.yardstick.epochs, "yardstick-epochs", 0, "likewise")
	flag.IntVar(&o.cifar10.images, "cifar10-images", 0, "of the run on CIFAR-10; 0: as it says")
	flag.IntVar(&o.cifar10.epochs, "cifar10-epochs", 100, "of the run on CIFAR-10, at most")
	flag.Parse()
	missing := false
	code := command.Run("check-gpu", func(ctx context.Context) error {
		err := run(ctx, o)
		missing = errors.Is(err, errNoGPU)
		return err
	})
	if missing {
		code = exitNoGPU
	}
	os.Exit(code)
}

// run does the checks. One that fails does not keep the others from being done.
func run(ctx context.Context, o options) error {
	wanted, err := command.Chosen("check", o.checks, measurements, measurement.called)
	if err != nil {
		return err
	}
	began := time.Now()
	c := &check{o: o, end: began.Add(o.limit), rows: []report.Row{}}
	if err := c.findGPU(ctx); err != nil {
		return err
	}
	if c.Machine, err = report.ThisMachine(o.Threads); err != nil {
		return err
	}
	report.Say("%s; %s", c.GPU, c.Devices)
	if err := c.write(); err != nil {
		return err
	}
	var failed []error
	for _, m := range wanted {
		report.Say("%s (%.0f s are left)", m.name, time.Until(c.end).Seconds())
		if err := c.do(ctx, m); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
			c.Note("%s failed: %v", m.name, err)
		}
		c.Seconds = time.Since(began).Seconds()
		if err := c.write(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			failed = append(failed, errors.New("interrupted"))
			break
		}
	}
	fmt.Println(c.Machine)
	return errors.Join(append(failed, report.Table(os.Stdout, c.rows))...)
}

// do one of the checks within its limit.
func (c *check) do(ctx context.Context, m measurement) error {
	end := time.Now().Add(m.limit)
	if end.After(c.end) {
		end = c.end
	}
	limited, stop := context.WithDeadline(ctx, end)
	defer stop()
	if err := limited.Err(); err != nil {
		return fmt.Errorf("no time is left: %w", err)
	}
	err := m.measure(limited, c)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("not done in time: %w", err)
	}
	return err
}

func (c *check) add(rows ...report.Row) { c.rows = append(c.rows, rows...) }

func (c *check) write() error { return report.Write(c.o.output, "gpu", c.rows, c.machine) }
