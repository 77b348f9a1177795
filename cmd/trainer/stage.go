package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

// stallLimit is how long a step or a block of images may take before the watchdog ends the process.
const stallLimit = 30 * time.Minute

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
	attempt, err := envNumber(contract.EnvAttempt, 1)
	if err != nil {
		return err
	}
	m := contract.TerminationMessage{SchemaVersion: contract.Version, Stage: name, Attempt: int32(attempt)}
	o, err := stageOptions(file, name, engine, attempt)
	if err == nil {
		m, err = serveStage(ctx, o)
	} else {
		m = report.New("", name, int32(attempt), 0).Termination(err)
	}
	leave(m)
	return err
}

// leave writes the termination message. Where that fails the pod's log stands in.
func leave(m contract.TerminationMessage) {
	path := envOr(contract.EnvTerminationPath, contract.TerminationLog)
	if err := report.WriteTermination(path, m); err != nil {
		os.Stderr.WriteString("simclr-trainer: " + err.Error() + "\n")
	}
}

func stageOptions(file, name, engine string, attempt int) (stage.Options, error) {
	if name == "" {
		return stage.Options{}, contract.UserErrorf("Usage", "name the stage with --stage")
	}
	run, err := load(file)
	if err != nil {
		return stage.Options{}, err
	}
	threads, err := envNumber(contract.EnvThreads, defaultThreads())
	if err != nil {
		return stage.Options{}, err
	}
	output := envOr(contract.EnvOutput, filepath.Join(contract.OutputDir, string(run.UID)))
	tracker := report.New(run.Name, name, int32(attempt), 0)
	return stage.Options{
		Run: run, Stage: name, Output: output, Attempt: int32(attempt), Threads: threads, Engine: engine,
		Data:    stage.Sources{Mirror: os.Getenv(contract.EnvDatasetMirror), Cache: cacheDir()},
		Tracker: tracker, Log: tracker.Logger(os.Stderr),
	}, nil
}

// serveStage runs a stage with its HTTP server and its watchdog.
func serveStage(ctx context.Context, o stage.Options) (contract.TerminationMessage, error) {
	server, err := report.Serve(envOr(contract.EnvHTTPAddress, ":"+strconv.Itoa(contract.HTTPPort)), o.Tracker)
	if err != nil {
		return o.Tracker.Termination(err), err
	}
	defer server.Close()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	stalled := report.Watch(watching, o.Tracker, stallLimit)
	go func() {
		if err, ok := <-stalled; ok {
			// what hangs cannot be asked to stop
			leave(o.Tracker.Termination(err))
			os.Exit(contract.ExitCode(err))
		}
	}()
	o.Log.Info("started", "threads", o.Threads, "output", o.Output)
	m, err := stage.Run(ctx, o)
	if err != nil {
		o.Log.Error("ended", "exitCode", m.ExitCode, "reason", m.Reason, "message", m.Message)
		return m, err
	}
	o.Log.Info("done", "results", m.Results)
	return m, nil
}
