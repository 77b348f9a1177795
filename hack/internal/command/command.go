// Package command is what the commands under hack have in common.
package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Run a command until its end or an interrupt, for its exit code. An error is told under the command's name.
func Run(name string, run func(context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		return 1
	}
	return 0
}
