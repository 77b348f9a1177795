package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// withSignals is a context that ends at Ctrl-C or SIGTERM, with the contract's error as its cause: the
// stage then saves a checkpoint at the next step's boundary. A second signal ends the process at once.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		first, ok := <-signals
		if !ok {
			return
		}
		cancel(causeOf(first))
		if second, ok := <-signals; ok {
			os.Exit(128 + int(second.(syscall.Signal)))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

func causeOf(s os.Signal) error {
	if s == syscall.SIGTERM {
		return contract.Errorf(contract.ExitTerminate, "Terminated", "stopped by SIGTERM; the stage's checkpoint is saved, and the same command goes on from it")
	}
	return contract.Errorf(contract.ExitInterrupt, "Interrupted", "stopped by Ctrl-C; the stage's checkpoint is saved, and the same command goes on from it")
}
