package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/checkpoint"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

// runFlags are the flags of run.
type runFlags struct {
	file, output, encoder, engine, log string
	threads, workers                   int
	member                             bool // one of several processes, started by another
	data                               stage.Sources
	logTo                              io.Writer
}

func newRun() *cobra.Command {
	f := runFlags{}
	c := &cobra.Command{
		Use:   "run -f FILE --output DIR",
		Short: "Run all stages of a SimCLRRun with no cluster",
		Long: `run does all stages of a SimCLRRun on this machine, one after the other, and keeps in
DIR what a run in a cluster keeps on its claim:
  DIR/results.json   accuracies, as in status.results
  DIR/encoder/       the encoder: model.safetensors, config.json, README.md
  DIR/checkpoints/   what it goes on from

Of the spec, credentials and caBundle are objects of a cluster: here credentials are taken
from where the tools of AWS and Google take them (AWS_ACCESS_KEY_ID …, ~/.aws,
GOOGLE_APPLICATION_CREDENTIALS), certificates from --ca-bundle or AWS_CA_BUNDLE.

With --workers N, so many processes on this machine pretrain together, each on its part of
every batch, with its part of the threads: what N pods of a cluster do, whatever workers
of the spec says. Where one of them dies all end, within 30 seconds.

Ctrl-C saves a checkpoint; the same command goes on from it, or says that it is done.`,
		Example: `  # a known dataset, downloaded and verified
  simclr-trainer run -f config/samples/training_v1alpha1_simclrrun.yaml --output out

  # images of your own: DIR/train/<class>/<file> and DIR/test/<class>/<file>
  simclr-trainer run -f run.yaml --dataset ~/images --output out

  # as two processes, such as to try what two pods will do
  simclr-trainer run -f run.yaml --dataset ~/images --output out --workers 2

  # a bucket, as dataset.uri and dataset.endpoint say
  AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… simclr-trainer run -f s3.yaml --output out`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := withSignals(c.Context())
			defer stop()
			return runAll(ctx, c.OutOrStdout(), f)
		},
	}
	fileFlag(c, &f.file)
	c.Flags().StringVarP(&f.output, "output", "o", "", "directory of results, encoder and checkpoints (required)")
	c.Flags().StringVar(&f.encoder, "encoder", "", "directory of pretraining.from's encoder, instead of its run or uri")
	c.Flags().IntVar(&f.threads, "threads", defaultThreads(), "compute threads; resuming is bit-identical with the same number")
	c.Flags().IntVar(&f.workers, "workers", 1, "processes that pretrain together and share the threads")
	c.Flags().BoolVar(&f.member, memberFlag[2:], false, "this process is one of several, by its environment")
	_ = c.Flags().MarkHidden(memberFlag[2:]) // the flag exists
	c.Flags().StringVar(&f.log, "log", "", "file of the log that a pod would write, JSON lines")
	dataFlags(c, &f.data)
	engineFlag(c, &f.engine)
	return c
}

// dataFlags say where the data is.
func dataFlags(c *cobra.Command, d *stage.Sources) {
	c.Flags().StringVar(&d.Directory, "dataset", "", "directory of the dataset's files, instead of its uri or download")
	c.Flags().StringVar(&d.EvaluationDirectory, "evaluation-dataset", "", "directory of evaluation.dataset's files")
	c.Flags().StringVar(&d.Mirror, "dataset-mirror", os.Getenv(contract.EnvDatasetMirror), "base URL of known datasets, <mirror>/<name>/<file>")
	c.Flags().StringVar(&d.CABundle, "ca-bundle", "", "file of certificates, PEM, to trust for s3:// and https://, beside the system's")
	c.Flags().StringVar(&d.Cache, "cache", "", "directory of downloads (default: simclr/datasets in the user's cache)")
}

func (f runFlags) check() error {
	if err := needFile(f.file); err != nil {
		return err
	}
	if f.output == "" {
		return contract.UserErrorf("Usage", "name the output directory with --output")
	}
	if f.threads < 1 {
		return contract.UserErrorf("Usage", "--threads %d; set it to at least 1", f.threads)
	}
	return nil
}

// runAll runs every stage that is not done.
func runAll(ctx context.Context, out io.Writer, f runFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	run, err := load(f.file)
	if err != nil {
		return err
	}
	if err := f.checkWorkers(run); err != nil {
		return err
	}
	if f.data.Cache == "" {
		f.data.Cache = cacheDir()
	}
	f.logTo = io.Discard
	if f.log != "" {
		file, err := os.OpenFile(f.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return contract.UserErrorf("Usage", "--log: %w", err)
		}
		defer file.Close()
		f.logTo = file
	}
	if err := claims(&run.Spec, f.data, f.encoder); err != nil {
		return err
	}
	if f.member {
		return runMember(ctx, out, f, run)
	}
	return runStages(ctx, out, f, run)
}

func runStages(ctx context.Context, out io.Writer, f runFlags, run *v1alpha1.SimCLRRun) error {
	names := run.Spec.StageNames()
	if done, err := allDone(f.output, run); err != nil {
		return err
	} else if done {
		if err := checkpoint.MergeResults(f.output, names); err != nil {
			return err
		}
		fmt.Fprintf(out, "run %s is done; delete %s to do it again\n", run.Name, f.output)
		return printResults(out, f.output, names)
	}
	told := map[string]bool{}
	for _, name := range names {
		if m, err := checkpoint.LoadResult(f.output, name); err != nil {
			return err
		} else if m != nil {
			fmt.Fprintln(os.Stderr, name+"  is done")
			continue
		}
		if err := runOne(ctx, out, f, run, name, told); err != nil {
			return err
		}
	}
	return printResults(out, f.output, names)
}

// allDone: the output is this run's, and every stage's result is stored.
func allDone(output string, run *v1alpha1.SimCLRRun) (bool, error) {
	hash, err := stage.ConfigHash(&run.Spec)
	if err != nil {
		return false, err
	}
	if err := checkpoint.OpenOutput(output, run.Name, hash); err != nil {
		return false, err
	}
	for _, name := range run.Spec.StageNames() {
		m, err := checkpoint.LoadResult(output, name)
		if m == nil || err != nil {
			return false, err
		}
	}
	return true, nil
}

// runOne runs a stage and shows its progress. Warnings that were told before are not told again: all
// stages read the same images.
func runOne(ctx context.Context, out io.Writer, f runFlags, run *v1alpha1.SimCLRRun, name string, told map[string]bool) error {
	if f.several(run, name) {
		return runTeam(ctx, f, name, told)
	}
	last, err := checkpoint.LastAttempt(f.output, name)
	if err != nil {
		return err
	}
	_, err = shown(ctx, out, f.options(run, name, last+1), told)
	return err
}

// options of a stage's attempt.
func (f runFlags) options(run *v1alpha1.SimCLRRun, name string, attempt int32) stage.Options {
	rank, err := strconv.Atoi(os.Getenv(contract.EnvRank))
	if err != nil || !f.member {
		rank = 0
	}
	t := report.New(run.Name, name, attempt, rank)
	return stage.Options{
		Run: run, Stage: name, Output: f.output, Attempt: attempt, Threads: f.threads, Engine: f.engine,
		Data: f.data, Encoder: f.encoder, Tracker: t, Log: t.Logger(f.logTo),
	}
}

// shown runs a stage and shows its progress, and the warnings that are not among those told, which they join; with nil, nothing.
func shown(ctx context.Context, out io.Writer, o stage.Options, told map[string]bool) (contract.TerminationMessage, error) {
	if told == nil {
		return stage.Run(ctx, o)
	}
	showing, hide := context.WithCancel(context.Background())
	done := report.Show(showing, os.Stderr, o.Tracker, told)
	m, err := stage.Run(ctx, o)
	hide()
	<-done
	for _, w := range m.Warnings { // of a stage that was done before
		if !told[w] {
			fmt.Fprintln(out, "warning:", w)
		}
		told[w] = true
	}
	return m, err
}

// printResults tells the results of all stages.
func printResults(out io.Writer, output string, names []string) error {
	var all v1alpha1.Results
	for _, name := range names {
		m, err := checkpoint.LoadResult(output, name)
		if err != nil {
			return err
		}
		if m != nil && m.Results != nil {
			all.Merge(*m.Results)
		}
	}
	for _, row := range [][2]string{
		{"pretraining loss", all.PretrainingLoss}, {"kNN top-1 %", all.KNNTop1}, {"linear top-1 %", all.LinearTop1}, {"linear top-5 %", all.LinearTop5},
	} {
		if row[1] != "" {
			fmt.Fprintf(out, "%-20s %s\n", row[0], row[1])
		}
	}
	for _, r := range all.Finetune {
		fmt.Fprintf(out, "%-20s top-1 %s %%, top-5 %s %%, on %d labels\n", r.Name, r.Top1, r.Top5, r.Labels)
	}
	if all.SkippedImages > 0 {
		fmt.Fprintf(out, "%-20s %d\n", "images skipped", all.SkippedImages)
	}
	_, err := fmt.Fprintf(out, "%-20s %s/%s, %s/%s/\n", "written to", output, contract.ResultsFile, output, contract.EncoderDir)
	return err
}
