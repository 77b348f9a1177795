package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

const yardstick = "config/samples/cifar10-yardstick.yaml"

// endToEnd compares whole epochs, from decoded images to weights.
func endToEnd(ctx context.Context, b *bench) ([]report.Row, error) {
	if err := b.o.CheckData(); err != nil {
		return nil, fmt.Errorf("%w: see hack/bench/cifar10.sh", err)
	}
	run, err := runs.Load(yardstick, b.o.limit, 0)
	if err != nil {
		return nil, err
	}
	c := b.o.Config
	c.Directory = filepath.Join(b.o.output, "end-to-end")
	fastest, rate := runs.Program{}, 0.0
	for _, flags := range [][]string{{"--transforms", "v1"}, {"--transforms", "v2"}, {"--transforms", "v2-tensor"}, {"--compile"}} {
		p := runs.Peer(c, flags...)
		rates, err := p.Round(ctx, run, 1)
		if err != nil {
			return nil, err
		}
		b.Note("end-to-end: PyTorch with %s: %.0f images/s", flags, rates)
		if rates[0] > rate {
			fastest, rate = p, rates[0]
		}
	}
	var rates [2][]float64
	for range b.o.repetitions {
		for i, p := range []runs.Program{runs.Ours(c), fastest} {
			r, err := p.Round(ctx, run, 1)
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], r...)
		}
	}
	b.Note("end-to-end: images/s of every epoch: ours %.0f, PyTorch %.0f", rates[0], rates[1])
	return []report.Row{
		report.NewRow("end-to-end: ResNet-18 width 0.25, 32 px, batch 256", "source images/s", report.Median(rates[0]), report.Median(rates[1]), new(2.0), report.Higher),
	}, nil
}
