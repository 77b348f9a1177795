// Command trainer compares the trainer's speed and memory with PyTorch's, case by case, in turns of both: the contrastive
// step, a whole run, and augmentation alone. `make bench-trainer` starts it. Targets are of the ratio, ours/peer.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

type options struct {
	runs.Config
	cases, output      string
	step, augment      string
	repetitions, limit int
	startLimit         time.Duration
}

// bench is what has been measured so far.
type bench struct {
	o    options
	rows []report.Row
	report.Log
}

// A measurement is one of CASES.
type measurement struct {
	name    string
	measure func(context.Context, *bench) ([]report.Row, error)
}

func (m measurement) called() string { return m.name }

func measurements() []measurement {
	var all []measurement
	for _, s := range cases {
		all = append(all, measurement{s.name, s.measure})
	}
	return append(all, measurement{"end-to-end", endToEnd}, measurement{"augmentation", augmentation})
}

func main() {
	var o options
	o.Flags()
	flag.StringVar(&o.cases, "cases", "", "comma-separated: "+command.Names(measurements(), measurement.called)+"; empty: all")
	flag.StringVar(&o.output, "output", "build/bench", "directory of trainer.json and trainer-machine.json")
	flag.StringVar(&o.step, "step", "build/bench/step", "our program of the step alone")
	flag.StringVar(&o.augment, "augment", "build/bench/augment", "our program of augmentation alone, hack/bench/augment")
	flag.IntVar(&o.repetitions, "repetitions", 3, "turns of each program")
	flag.IntVar(&o.limit, "limit", 5120, "images of end-to-end's epochs: of the yardstick's 10,000, so many that their rate is steady")
	flag.DurationVar(&o.startLimit, "start-limit", 4*time.Minute, "how long a program may take until its first steps are done: torch.compile compiles in them")
	flag.Parse()
	os.Exit(command.Run("trainer", func(ctx context.Context) error { return run(ctx, o) }))
}

// run measures the cases. One that fails does not keep the others from being measured.
func run(ctx context.Context, o options) error {
	wanted, err := command.Chosen("case", o.cases, measurements(), measurement.called)
	if err != nil {
		return err
	}
	if o.repetitions < 1 {
		return errors.New("-repetitions is at least 1")
	}
	b := &bench{o: o, rows: []report.Row{}}
	if b.Machine, err = report.ThisMachine(o.Threads); err != nil {
		return err
	}
	began := time.Now()
	var failed []error
	for _, m := range wanted {
		report.Say("%s", m.name)
		rows, err := m.measure(ctx, b)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
			b.Note("%s failed: %v", m.name, err)
		}
		b.rows = append(b.rows, rows...)
	}
	b.Seconds = time.Since(began).Seconds()
	failed = append(failed, report.Write(o.output, "trainer", b.rows, b.Log))
	fmt.Println(b.Machine)
	return errors.Join(append(failed, report.Table(os.Stdout, b.rows))...)
}
