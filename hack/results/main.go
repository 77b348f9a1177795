// Command results makes the tables of docs/results.md: for each dataset and seed it runs simclr-trainer with
// pretraining and with the same encoder as it was initialised (epochs 0), and prints mean and standard error; or it runs
// the files of config/samples/findings, which change one thing each. What has been measured already is not run again.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// An experiment is a sample's run at several seeds.
type experiment struct {
	name string
	file string
	args []string // simclr-trainer's, such as where the dataset is
}

// finetunings are added to both: the paper's section 4.2, 1% of the labels, beside training from scratch on that 1%.
var finetunings = []v1alpha1.FinetuningSpec{
	{Name: "pretrained", LabelFraction: "0.01", From: v1alpha1.FromPretrained, Epochs: new(int32(60))},
	{Name: "scratch", LabelFraction: "0.01", From: v1alpha1.FromScratch, Epochs: new(int32(60))},
}

func main() {
	output := flag.String("output", "build/results", "directory of the runs")
	cifar := flag.String("cifar10", "", "directory of CIFAR-10 as JPEG files: train/<class>/, test/<class>/")
	fashion := flag.String("fashion-mnist", "", "directory of Fashion-MNIST's files; empty: they are downloaded")
	threads := flag.String("threads", "2", "compute threads")
	seeds := flag.Int64("seeds", 3, "how many seeds")
	only := flag.String("only", "", "one experiment: fashion-mnist, cifar10 or findings; empty: the first two")
	flag.Parse()
	os.Exit(command.Run("results", func(ctx context.Context) error {
		if *only == "findings" {
			return measureFindings(ctx, *output, *cifar, *threads, *seeds)
		}
		return measureAll(ctx, *only, *output, *cifar, *fashion, *threads, *seeds)
	}))
}

func measureAll(ctx context.Context, only, output, cifar, fashion, threads string, seeds int64) error {
	experiments := []experiment{
		{"fashion-mnist", "hack/results/fashion-mnist.yaml", []string{"--dataset", fashion}},
		{"cifar10", "config/samples/cifar10-yardstick.yaml", []string{"--dataset", cifar}},
	}
	for _, e := range experiments {
		if only != "" && e.name != only {
			continue
		}
		e.args = append(e.args, "--threads", threads)
		if e.name == "cifar10" && cifar == "" {
			fmt.Fprintln(os.Stderr, "results: cifar10 is left out, because --cifar10 names no directory")
			continue
		}
		if err := e.measure(ctx, output, seeds); err != nil {
			return err
		}
	}
	return nil
}

// measure runs the experiment where it has not been run, and prints its table.
func (e experiment) measure(ctx context.Context, output string, seeds int64) error {
	var pretrained, random []v1alpha1.Results
	for seed := range seeds {
		p, err := e.run(ctx, output, seed, true)
		if err != nil {
			return err
		}
		r, err := e.run(ctx, output, seed, false)
		if err != nil {
			return err
		}
		pretrained, random = append(pretrained, p), append(random, r)
	}
	return table(os.Stdout, e.name, pretrained, random)
}

// run is one run of simclr-trainer; without pretraining the encoder stays as it was initialised, and is not finetuned.
func (e experiment) run(ctx context.Context, output string, seed int64, pretrain bool) (v1alpha1.Results, error) {
	run, err := runs.Load(e.file, 0, 0)
	if err != nil {
		return v1alpha1.Results{}, err
	}
	kind := "pretrained"
	run.Spec.Pretraining.Seed = &seed
	if pretrain {
		run.Spec.Finetuning = finetunings
	} else {
		kind = "random"
		run.Spec.Pretraining.Epochs, run.Spec.Pretraining.WarmupEpochs = new(int32(0)), nil
	}
	return e.results(ctx, filepath.Join(output, fmt.Sprintf("%s-%s-%d", e.name, kind, seed)), run)
}

// results of a run, which is trained where it has not been.
func (e experiment) results(ctx context.Context, dir string, run v1alpha1.SimCLRRun) (r v1alpha1.Results, err error) {
	if err := e.train(ctx, dir, run); err != nil {
		return r, fmt.Errorf("%s: %w", dir, err)
	}
	err = report.ReadJSON(filepath.Join(dir, "results.json"), &r)
	return r, err
}

// train resumes what was interrupted, and ends at once where the run is done.
func (e experiment) train(ctx context.Context, dir string, run v1alpha1.SimCLRRun) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := yaml.Marshal(run)
	if err != nil {
		return err
	}
	file := dir + ".yaml"
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "bin/simclr-trainer", append([]string{"run", "-f", file, "--output", dir}, e.args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C once, from us: a second ends it without a checkpoint
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.Error](err); ok {
			return fmt.Errorf("%w (make build)", err)
		}
		return err
	}
	return nil
}
