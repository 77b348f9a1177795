// Command fidelity runs simclr-trainer and the PyTorch program of hack/bench/yardstick at several seeds on the same data,
// and fails where our accuracies are lower than chance explains. `make bench-fidelity` starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/command"
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
	o.Flags()
	flag.StringVar(&o.sample, "f", "config/samples/cifar10-yardstick.yaml", "the run")
	flag.StringVar(&o.output, "output", "build/bench", "directory of fidelity.json and fidelity/")
	flag.IntVar(&o.seeds, "seeds", 3, "runs of each program")
	flag.IntVar(&o.limit, "limit", 0, "images, to try it out; 0: the run's")
	flag.IntVar(&o.epochs, "epochs", 0, "epochs, to try it out; 0: the run's")
	flag.Parse()
	os.Exit(command.Run("fidelity", func(ctx context.Context) error { return bench(ctx, o) }))
}

func bench(ctx context.Context, o options) error {
	if err := o.CheckData(); err != nil {
		return err
	}
	if o.seeds < 2 {
		return errors.New("-seeds is at least 2: one has no standard error")
	}
	run, err := runs.Load(o.sample, o.limit, o.epochs)
	if err != nil {
		return err
	}
	rows, err := measure(ctx, o, run)
	if err != nil {
		return err
	}
	if err := report.WriteJSON(filepath.Join(o.output, "fidelity.json"), rows); err != nil {
		return err
	}
	return judge(os.Stdout, rows)
}

// measure every seed: the peer in FP32, and ours in both precisions, each of which is held against it. What has been
// measured already, by the same code, is not run again.
func measure(ctx context.Context, o options, run v1alpha1.SimCLRRun) ([]row, error) {
	precisions := []v1alpha1.Precision{v1alpha1.FP32, v1alpha1.BF16}
	ours := make([][]runs.Result, len(precisions))
	var peers []runs.Result
	for seed := range int64(o.seeds) {
		run.Spec.Pretraining.Seed, run.Spec.Pretraining.Precision = &seed, v1alpha1.FP32
		c := o.Config
		c.Directory = filepath.Join(o.output, "fidelity", fmt.Sprint("seed-", seed))
		peer, err := runs.Peer(c).Whole(ctx, run)
		if err != nil {
			return nil, err
		}
		peers = append(peers, peer)
		report.Say("seed %d: PyTorch: kNN %.2f, linear %.2f", seed, peer.KNN, peer.Linear)
		for i, precision := range precisions {
			run.Spec.Pretraining.Precision = precision
			c.Directory = filepath.Join(o.output, "fidelity", fmt.Sprintf("seed-%d-%s", seed, precision))
			r, err := runs.Ours(c).Whole(ctx, run)
			if err != nil {
				return nil, err
			}
			ours[i] = append(ours[i], r)
			report.Say("seed %d: ours in %s: kNN %.2f, linear %.2f", seed, precision, r.KNN, r.Linear)
		}
	}
	var rows []row
	for i, precision := range precisions {
		rows = append(rows, compare(precision, ours[i], peers)...)
	}
	return rows, nil
}
