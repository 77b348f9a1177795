// Command yardstick runs simclr-trainer beside an equivalent PyTorch program, simclr_torch.py, on the same data: first
// short rounds in turn for the speed, then one whole run of each for the accuracies. `make bench-yardstick` starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

type options struct {
	runs.Config
	sample, output     string
	repetitions, timed int
	limit, epochs      int
}

func main() {
	var o options
	o.Flags()
	flag.StringVar(&o.sample, "f", "config/samples/cifar10-yardstick.yaml", "the run")
	flag.StringVar(&o.output, "output", "build/bench", "directory of yardstick.json, yardstick-machine.json, and yardstick/")
	flag.IntVar(&o.repetitions, "repetitions", 3, "rounds of each program")
	flag.IntVar(&o.timed, "epochs-timed", 2, "epochs of a round, after one that is not timed")
	flag.IntVar(&o.limit, "limit", 0, "images, to try it out; 0: the run's")
	flag.IntVar(&o.epochs, "epochs", 0, "epochs of the whole run, to try it out; 0: the run's")
	flag.Parse()
	o.Directory = filepath.Join(o.output, "yardstick")
	os.Exit(command.Run("yardstick", func(ctx context.Context) error { return bench(ctx, o) }))
}

func bench(ctx context.Context, o options) error {
	if err := o.CheckData(); err != nil {
		return err
	}
	if o.repetitions < 1 || o.timed < 1 {
		return errors.New("-repetitions and -epochs-timed are at least 1")
	}
	run, err := runs.Load(o.sample, o.limit, o.epochs)
	if err != nil {
		return err
	}
	programs := [2]runs.Program{runs.Ours(o.Config), runs.Peer(o.Config)}
	m, err := thisMachine(ctx, o)
	if err != nil {
		return err
	}
	for r := range o.repetitions {
		for i, p := range programs {
			rates, err := p.Round(ctx, run, o.timed)
			if err != nil {
				return err
			}
			m.ImagesPerSecond[i] = append(m.ImagesPerSecond[i], rates...)
			report.Say("round %d of %d: %s %.0f images/s", r+1, o.repetitions, p.Name, rates)
		}
	}
	var whole [2]runs.Result
	for i, p := range programs {
		if whole[i], err = p.Whole(ctx, run); err != nil {
			return err
		}
	}
	m.Peer = whole[1].Versions
	cases := compare(m.ImagesPerSecond, whole, *run.Spec.Pretraining.Epochs)
	if err := report.Write(o.output, "yardstick", cases, m); err != nil {
		return err
	}
	m.tell(os.Stdout)
	return report.Table(os.Stdout, cases)
}

// machine is what was measured, and on what.
type machine struct {
	report.Machine
	Ours string            `json:"ours"` // simclr-trainer devices
	Peer map[string]string `json:"peer"` // versions
	// ImagesPerSecond of every timed epoch: ours, and the peer's.
	ImagesPerSecond [2][]float64 `json:"imagesPerSecond"`
}

func thisMachine(ctx context.Context, o options) (m machine, err error) {
	if m.Ours, err = o.Devices(ctx); err != nil {
		return m, err
	}
	m.Machine, err = report.ThisMachine(o.Threads)
	return m, err
}
