package main

import (
	"context"
	"io"
	"os"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// runMember does the part of one of several processes of run in the pretrain stage, and leaves its termination message for
// the one that started them, which tells it. Only worker 0 shows its progress.
func runMember(ctx context.Context, out io.Writer, f runFlags, run *v1alpha1.SimCLRRun) error {
	go untilOrphaned(os.Stdin)
	attempt, err := envNumber(contract.EnvAttempt, 1)
	if err != nil {
		return err
	}
	if f.threads, err = envNumber(contract.EnvThreads, 1); err != nil {
		return err
	}
	o := f.options(run, v1alpha1.StagePretrain, int32(attempt))
	if o.Workers, err = workersOf(); err != nil {
		return err
	}
	o.Neighbours = f.workers - 1
	told := map[string]bool{}
	if o.Workers != nil && o.Workers.Rank > 0 {
		out, told = io.Discard, nil
	}
	o.Abandon = func(err error) { // what hangs cannot be asked to stop
		leave(o.Tracker.Termination(err))
		os.Exit(contract.ExitCode(err))
	}
	m, err := shown(ctx, out, o, told)
	leave(m)
	if err != nil {
		return &toldError{err}
	}
	return nil
}
