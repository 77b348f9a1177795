// Package command is what the commands under hack have in common.
package command

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
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

// Chosen are those of all that a comma-separated list names, in its order; all where it is empty. A name that none has is an error, which
// says what they are called.
func Chosen[T any](what, list string, all []T, name func(T) string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	var some []T
	for wanted := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(one T) bool { return name(one) == wanted })
		if i < 0 {
			return nil, fmt.Errorf("no %s %q: there are %s", what, wanted, Names(all, name))
		}
		some = append(some, all[i])
	}
	return some, nil
}

// Names of all, separated by commas.
func Names[T any](all []T, name func(T) string) string {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = name(one)
	}
	return strings.Join(names, ", ")
}
