package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

// stallLimit is how many seconds a step or a block of images may take before the watchdog ends the process, where nothing else is
// said.
const stallLimit = 1800

func newStage() *cobra.Command {
	var file, name, engine string
	c := &cobra.Command{
		Use:   "stage --run FILE --stage NAME",
		Short: "Run one stage, as the operator starts it in a pod",
		Long: `stage runs one stage of a resolved SimCLRRun as docs/trainer-contract.md says. From
the environment it takes
  SIMCLR_ATTEMPT          the stage's attempt, from 1
  SIMCLR_THREADS          compute threads (default: the CPUs)
  SIMCLR_OUTPUT           the run's output directory (default: /output/<run UID>)
  SIMCLR_DATASET_MIRROR   base URL of known datasets, <mirror>/<name>/<file>
  SIMCLR_HTTP_ADDRESS     of /metrics, /healthz and /progress (default: :8080)
  SIMCLR_TERMINATION_LOG  the termination message (default: /dev/termination-log)
of several workers also
  SIMCLR_WORKERS, SIMCLR_RANK  how many, and which this is, from 0
  SIMCLR_COORDINATOR      HOST:PORT of worker 0
  SIMCLR_COLLECTIVE_ADDRESS  that this worker listens on for the others (default: :7070)
  SIMCLR_COLLECTIVE_KEY   file of the secret that they share
                          (default: /var/run/secrets/simclr/collective/key)

Exit codes: 0 done, 10 user error, 11 diverged, 12 device, 13 peer lost, 14 storage,
15 stalled, 143 SIGTERM and 130 Ctrl-C with the checkpoint saved.`,
		Example: "  simclr-trainer stage --run /etc/simclr/run.yaml --stage pretrain",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := withSignals(c.Context())
			defer stop()
			return runStage(ctx, file, name, engine)
		},
	}
	c.Flags().StringVar(&file, "run", contract.RunFile, "the resolved SimCLRRun")
	c.Flags().StringVar(&name, "stage", "", "the stage: pretrain, linear-eval, or a finetuning entry's name (required)")
	engineFlag(c, &engine)
	return c
}

// engineFlag chooses the engine. It is hidden: the reference engine is for tests and for doubts.
func engineFlag(c *cobra.Command, engine *string) {
	c.Flags().StringVar(engine, "engine", "cpu", "cpu, or interp: the reference in float64, slow")
	_ = c.Flags().MarkHidden("engine") // the flag exists
}

// runStage runs a stage and leaves its termination message.
func runStage(ctx context.Context, file, name, engine string) error {
	o, err := stageOptions(file, name, engine)
	if err != nil {
		leave(report.New("", name, o.Attempt, 0).Termination(err))
		return err
	}
	m, err := serveStage(ctx, o)
	leave(m)
	return err
}

// leave writes the termination message. Where that fails the pod's log stands in.
func leave(m contract.TerminationMessage) {
	path := envOr(contract.EnvTerminationPath, contract.TerminationLog)
	if err := report.WriteTermination(path, m); err != nil {
		fmt.Fprintln(os.Stderr, "simclr-trainer:", err)
	}
}

// stageOptions from flags, environment and run. Where there is an error they have what was known before it.
func stageOptions(file, name, engine string) (o stage.Options, err error) {
	attempt, err := envNumber(contract.EnvAttempt, 1)
	if err != nil {
		return o, err
	}
	o.Attempt, o.Stage, o.Engine = int32(attempt), name, engine
	if name == "" {
		return o, contract.UserErrorf("Usage", "name the stage with --stage")
	}
	if o.Run, err = load(file); err != nil {
		return o, err
	}
	if o.Threads, err = envNumber(contract.EnvThreads, defaultThreads()); err != nil {
		return o, err
	}
	if o.Output, err = stageOutput(string(o.Run.UID)); err != nil {
		return o, err
	}
	o.Data = stage.Sources{Mirror: os.Getenv(contract.EnvDatasetMirror), Cache: cacheDir(), Secrets: contract.SecretsDir}
	if o.Workers, err = workersOf(); err != nil {
		return o, err
	}
	rank := 0
	if o.Workers != nil {
		rank = o.Workers.Rank
	}
	o.Tracker = report.New(o.Run.Name, name, o.Attempt, rank)
	o.Log = o.Tracker.Logger(os.Stderr)
	return o, nil
}

// stageOutput is the run's directory on the claim, never the claim itself, which other runs may share.
func stageOutput(uid string) (string, error) {
	if dir := os.Getenv(contract.EnvOutput); dir != "" {
		return dir, nil
	}
	if uid == "" {
		return "", contract.UserErrorf("InvalidSpec", "the run has no metadata.uid, which names its directory in %s; set it, or %s to a directory", contract.OutputDir, contract.EnvOutput)
	}
	return filepath.Join(contract.OutputDir, uid), nil
}

// serveStage runs a stage with its HTTP server and its watchdog.
func serveStage(ctx context.Context, o stage.Options) (contract.TerminationMessage, error) {
	limit, err := envNumber(contract.EnvDeadline, stallLimit)
	if err != nil {
		return o.Tracker.Termination(err), err
	}
	server, err := report.Serve(envOr(contract.EnvHTTPAddress, ":"+strconv.Itoa(contract.HTTPPort)), o.Tracker)
	if err != nil {
		return o.Tracker.Termination(err), err
	}
	defer server.Close()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	o.Abandon = func(err error) { // what hangs cannot be asked to stop
		leave(o.Tracker.Termination(err))
		os.Exit(contract.ExitCode(err))
	}
	stalled := report.Watch(watching, o.Tracker, time.Duration(limit)*time.Second)
	go func() {
		if err, ok := <-stalled; ok {
			o.Abandon(err)
		}
	}()
	o.Log.Info("started", "threads", o.Threads, "output", o.Output)
	m, err := stage.Run(ctx, o)
	if err != nil {
		o.Log.Error("ended", "exitCode", m.ExitCode, "reason", m.Reason, "message", m.Message)
		return m, &toldError{err}
	}
	o.Log.Info("done", "results", m.Results)
	return m, nil
}
