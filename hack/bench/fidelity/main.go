// Command fidelity runs simclr-trainer and the PyTorch program of hack/bench/yardstick at several seeds on the same data,
// and fails where our accuracies are lower than chance explains. `make bench-fidelity` starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

type options struct {
	runs.Config
	sample, output       string
	seeds, limit, epochs int
}

func main() {
	var o options
	flag.StringVar(&o.sample, "f", "config/samples/cifar10-yardstick.yaml", "the run")
	flag.StringVar(&o.Data, "data", "", "directory of train/<class>/ and test/<class>/")
	flag.StringVar(&o.output, "output", "build/bench", "directory of fidelity.json and fidelity/")
	flag.StringVar(&o.Trainer, "trainer", "bin/simclr-trainer", "our program")
	flag.StringVar(&o.Python, "python", "build/bench/venv/bin/python", "the Python that has PyTorch")
	flag.IntVar(&o.seeds, "seeds", 3, "runs of each program")
	flag.IntVar(&o.limit, "limit", 0, "images, to try it out; 0: the run's")
	flag.IntVar(&o.epochs, "epochs", 0, "epochs, to try it out; 0: the run's")
	flag.IntVar(&o.Threads, "threads", 2, "compute threads; PyTorch has as many loader workers besides")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fidelity:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options) error {
	if o.Data == "" {
		return errors.New("name the directory of the images with -data")
	}
	if o.seeds < 2 {
		return errors.New("-seeds is at least 2: one has no standard error")
	}
	run, err := runs.Load(o.sample, o.limit, o.epochs)
	if err != nil {
		return err
	}
	ours, peers, err := measure(ctx, o, run)
	if err != nil {
		return err
	}
	rows := compare("fp32", ours, peers)
	if err := report.WriteJSON(filepath.Join(o.output, "fidelity.json"), rows); err != nil {
		return err
	}
	return judge(os.Stdout, rows)
}

// measure every seed, of both programs. What has been measured already, by the same code, is not run again.
func measure(ctx context.Context, o options, run v1alpha1.SimCLRRun) (ours, peers []runs.Result, err error) {
	for seed := range int64(o.seeds) {
		c := o.Config
		c.Directory = filepath.Join(o.output, "fidelity", fmt.Sprint("seed-", seed))
		run.Spec.Pretraining.Seed = &seed
		a, err := runs.Ours(c).Whole(ctx, run)
		if err != nil {
			return nil, nil, err
		}
		b, err := runs.Peer(c).Whole(ctx, run)
		if err != nil {
			return nil, nil, err
		}
		report.Say("seed %d: kNN %.2f and %.2f, linear %.2f and %.2f", seed, a.KNN, b.KNN, a.Linear, b.Linear)
		ours, peers = append(ours, a), append(peers, b)
	}
	return ours, peers, nil
}
