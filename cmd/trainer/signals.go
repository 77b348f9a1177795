package main

import (
	"context"
	"fmt"
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
			fmt.Fprintf(os.Stderr, "simclr-trainer: ended by a second signal (%s); the checkpoint may not be saved\n", second)
			os.Exit(secondCode(second))
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

// causeOf a stop. It is true in every phase: a training saves before it ends, other work has nothing to save.
func causeOf(s os.Signal) error {
	if s == syscall.SIGTERM {
		return contract.Errorf(contract.ExitTerminate, "Terminated", "stopped by SIGTERM; what was saved stays, and the same command goes on from there")
	}
	return contract.Errorf(contract.ExitInterrupt, "Interrupted", "stopped by Ctrl-C; what was saved stays, and the same command goes on from there")
}

// secondCode is the exit code of a second signal. The contract's 143 means that all is saved, which nobody
// waited for; to the operator it is a save that failed.
func secondCode(s os.Signal) int {
	if s == syscall.SIGTERM {
		return contract.ExitStorage
	}
	return contract.ExitInterrupt
}
