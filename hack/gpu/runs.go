package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

//go:embed cifar10.yaml
var specs embed.FS

// What the PyTorch program of hack/bench/yardstick reaches, and what the trainer has to (test/slow), in percent.
const (
	peerKNN, leastKNN       = 40.1, 39.0
	peerLinear, leastLinear = 45.4, 44.6
)

// yardstick makes the run that is compared with PyTorch.
func yardstick(ctx context.Context, c *check) error {
	run, err := runs.Load(filepath.Join(c.o.pack, "cifar10-yardstick.yaml"), c.o.yardstick.images, c.o.yardstick.epochs)
	if err != nil {
		return err
	}
	r, err := c.whole(ctx, "yardstick", onGPU(run))
	if err != nil {
		return err
	}
	c.add(accuracy("yardstick run: kNN top-1", r.KNN, new(peerKNN), new(leastKNN)), accuracy("yardstick run: linear top-1", r.Linear, new(peerLinear), new(leastLinear)))
	c.Note("the yardstick run took %.0f s, its epochs %.0f s", r.Seconds, r.Epochs)
	return nil
}

// cifar10 measures epochs from JPEG files to weights, and then makes the run in as many epochs as there is time for.
func cifar10(ctx context.Context, c *check) error {
	data, err := specs.ReadFile("cifar10.yaml")
	if err != nil {
		return err
	}
	var run v1alpha1.SimCLRRun
	if err := yaml.UnmarshalStrict(data, &run); err != nil {
		return err
	}
	if n := c.o.cifar10.images; n > 0 {
		run.Spec.Dataset.Limit, run.Spec.BatchSize = new(int32(n)), int32(max(n/4, 2))
	}
	run = onGPU(run)
	rate, err := c.epochs(ctx, run)
	if err != nil {
		return err
	}
	epochs := c.affordable(rate, run)
	if epochs < 1 {
		return errors.New("no time is left for an epoch")
	}
	run.Spec.Pretraining.Epochs = new(epochs)
	r, err := c.whole(ctx, "cifar10", run)
	if err != nil {
		return err
	}
	c.add(accuracy(fmt.Sprintf("CIFAR-10, ResNet-18, %d epochs: kNN top-1", epochs), r.KNN, nil, nil),
		accuracy(fmt.Sprintf("CIFAR-10, ResNet-18, %d epochs: linear top-1", epochs), r.Linear, nil, nil),
		report.Row{Case: fmt.Sprintf("CIFAR-10, ResNet-18, %d epochs: the whole run", epochs), Unit: "s", Ours: r.Seconds, Better: report.Lower})
	return nil
}

// epochs gives the images/s of epochs after the first, and adds that, and how busy the GPU was meanwhile, to the rows.
func (c *check) epochs(ctx context.Context, run v1alpha1.SimCLRRun) (float64, error) {
	const timed = 3
	p := c.program("cifar10")
	var first, last time.Time
	p.Heard = func(e runs.EpochEnd) {
		if last = e.At; first.IsZero() {
			first = e.At
		}
	}
	w := watching(ctx)
	rates, err := p.Round(ctx, run, timed)
	busy, n := w.busy(first, last)
	if err != nil {
		return 0, err
	}
	rate := report.Median(rates)
	c.add(report.Row{Case: fmt.Sprintf("end-to-end: ResNet-18, 32 px, batch %d, BF16, from JPEG files", run.Spec.BatchSize), Unit: "images/s", Ours: rate, Better: report.Higher})
	if n > 0 {
		c.add(report.Row{Case: "end-to-end: share of the time that the GPU is busy", Unit: "%", Ours: busy, Target: new(90.0), Better: report.Higher})
	} else {
		c.Note("nvidia-smi gave no samples: how busy the GPU is was not measured")
	}
	c.Note("end-to-end: images/s of every epoch %.0f; %d samples of nvidia-smi", rates, n)
	return rate, c.write()
}

// rest is how much of the time is kept for what is no epoch: start, compilation, kNN and linear evaluation.
const rest = 75 * time.Second

// affordable are the epochs for which there is time, of those that the run wants at most.
func (c *check) affordable(rate float64, run v1alpha1.SimCLRRun) int32 {
	images := 50000.0
	if run.Spec.Dataset.Limit != nil {
		images = float64(*run.Spec.Dataset.Limit)
	}
	seconds := (time.Until(c.end) - rest).Seconds()
	return int32(max(0, min(float64(c.o.cifar10.epochs), math.Floor(seconds*rate/images))))
}

// program is ours, whose runs are in a directory of the pack's.
func (c *check) program(name string) runs.Program {
	config := c.o.Config
	config.Directory = filepath.Join(c.o.output, "gpu-"+name)
	_ = os.RemoveAll(config.Directory) // a run of an earlier check is not this one's
	return runs.Ours(config)
}

// whole run; where it ends early, the error says how far it was.
func (c *check) whole(ctx context.Context, name string, run v1alpha1.SimCLRRun) (runs.Result, error) {
	p := c.program(name)
	var last runs.EpochEnd
	p.Heard = func(e runs.EpochEnd) { last = e }
	r, err := p.Whole(ctx, run)
	if err != nil {
		err = fmt.Errorf("after epoch %d of %d, loss %.4f: %w", last.Epoch, *run.Spec.Pretraining.Epochs, last.Loss, err)
	}
	return r, err
}

// onGPU moves a run to one GPU.
func onGPU(run v1alpha1.SimCLRRun) v1alpha1.SimCLRRun {
	run.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: new(int32(1))}
	return run
}

func accuracy(name string, ours float64, peer, target *float64) report.Row {
	row := report.Row{Case: name, Unit: "%", Ours: ours, Peer: peer, Target: target, Better: report.Higher}
	if peer != nil {
		row.Ratio = new(ours / *peer)
	}
	return row
}
