package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/steps"
)

// A step is a contrastive step of which speed and memory are compared.
type step struct {
	name             string
	network          []string // both programs' flags
	images           int
	precision        string
	target           float64 // of the ratio of speeds
	peerPrecisions   []string
	stepsARepetition int
}

var (
	resnet18 = []string{"--depth", "18", "--stem", "CIFAR", "--size", "32", "--images", "64"}
	resnet50 = []string{"--depth", "50", "--stem", "ImageNet", "--size", "224", "--images", "16"}
)

// bfloat16 in PyTorch: by autocast, or of all parameters too.
var bfloat16 = []string{"autocast", "bf16"}

var cases = []step{
	{"resnet18-fp32", resnet18, 64, "fp32", 1.9, []string{"fp32"}, 4},
	{"resnet18-bf16", resnet18, 64, "bf16", 1.2, bfloat16, 4},
	{"resnet50-fp32", resnet50, 16, "fp32", 1.2, []string{"fp32"}, 2},
	{"resnet50-bf16", resnet50, 16, "bf16", 1.2, bfloat16, 2},
}

// measure both programs in turn.
func (s step) measure(ctx context.Context, b *bench) ([]report.Row, error) {
	ours, err := steps.Start(ctx, b.o.startLimit, s.precision, append([]string{"env", steps.Spin, b.o.step, "--precision", s.precision, "--threads", fmt.Sprint(b.o.Threads)}, s.network...)...)
	if err != nil {
		return nil, fmt.Errorf("ours: %w", err)
	}
	defer ours.Stop()
	peer, memory, err := s.fastest(ctx, b)
	if err != nil {
		return nil, fmt.Errorf("PyTorch: %w", err)
	}
	defer peer.Stop()
	var rates [2][]float64
	for range b.o.repetitions {
		for i, w := range []*steps.Program{ours, peer} {
			seconds, err := w.Steps(s.stepsARepetition)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.Mode, err)
			}
			for _, t := range seconds {
				rates[i] = append(rates[i], float64(2*s.images)/t)
			}
		}
	}
	b.Note("%s: views/s of every step: ours %.1f, PyTorch %s %.1f", s.name, rates[0], peer.Mode, rates[1])
	const mebi = 1 << 20
	return []report.Row{
		report.NewRow(s.name+": step", "views/s", report.Median(rates[0]), report.Median(rates[1]), &s.target, report.Higher),
		report.NewRow(s.name+": peak memory", "MiB", float64(ours.Peak)/mebi, memory/mebi, new(1.0), report.Lower),
	}, nil
}

// fastest of PyTorch's ways to do the step, still running, and the least memory that any of them takes. One that is not
// ready in time, as torch.compile may be, is left out.
func (s step) fastest(ctx context.Context, b *bench) (best *steps.Program, memory float64, err error) {
	var least float64
	for _, precision := range s.peerPrecisions {
		for _, compiled := range []bool{false, true} {
			w, seconds, failed := s.try(ctx, b, precision, compiled)
			if failed != nil {
				err = failed
				b.Note("%s: PyTorch %s is left out: %v", s.name, mode(precision, compiled), failed)
				continue
			}
			b.Note("%s: PyTorch %s: %.3f s a step, peak %d MiB", s.name, w.Mode, seconds, w.Peak>>20)
			if memory == 0 || float64(w.Peak) < memory {
				memory = float64(w.Peak)
			}
			if best != nil && seconds >= least {
				w.Stop()
				continue
			}
			if best != nil {
				best.Stop()
			}
			best, least = w, seconds
		}
	}
	if best != nil {
		err = nil
	}
	return best, memory, err
}

func mode(precision string, compiled bool) string {
	if compiled {
		return precision + ", compiled"
	}
	return precision + ", eager"
}

// try one way, for the median seconds of three steps.
func (s step) try(ctx context.Context, b *bench, precision string, compiled bool) (*steps.Program, float64, error) {
	args := append([]string{"env", steps.Cache, b.o.Python, steps.Script, "--precision", precision, "--threads", strconv.Itoa(b.o.Threads)}, s.network...)
	if compiled {
		args = append(args, "--compile")
	}
	began := time.Now()
	w, err := steps.Start(ctx, b.o.startLimit, mode(precision, compiled), args...)
	if err != nil {
		return nil, 0, err
	}
	b.Note("%s: PyTorch %s: ready after %.0f s", s.name, w.Mode, time.Since(began).Seconds())
	seconds, err := w.Steps(3)
	if err != nil {
		w.Stop()
		return nil, 0, err
	}
	return w, report.Median(seconds), nil
}
