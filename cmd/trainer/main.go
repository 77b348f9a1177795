// simclr-trainer trains: one stage of a SimCLRRun in a pod, or a whole run from a file with no cluster.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

func main() {
	spinBriefly()
	os.Exit(execute(os.Args[1:]))
}

// execute runs a command line and gives its exit code, by the trainer contract.
func execute(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	var told *toldError
	if err != nil && !errors.As(err, &told) {
		fmt.Fprintln(os.Stderr, "simclr-trainer:", err)
	}
	return contract.ExitCode(err)
}

// toldError is an error that the person has been told of already.
type toldError struct{ error }

func (e *toldError) Unwrap() error { return e.error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "simclr-trainer",
		Short: "Contrastive pretraining, linear evaluation and finetuning of a SimCLRRun",
		Long: `simclr-trainer trains what a SimCLRRun describes: it pretrains a ResNet with
SimCLR on images without labels, evaluates it linearly, and finetunes it on few labels.

The operator starts it as "simclr-trainer stage" in pods. With no cluster, "run"
does the same for all stages of a file, and can be stopped and called again.`,
		Example: `  simclr-trainer validate -f run.yaml
  simclr-trainer plan -f run.yaml
  simclr-trainer run -f run.yaml --output out --dataset ~/images`,
		Args:          cobra.ArbitraryArgs, // RunE refuses them with the contract's exit code
		SilenceUsage:  true,
		SilenceErrors: true,

		SuggestionsMinimumDistance: 2,
	}
	root.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		hint := "see simclr-trainer --help"
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "do you mean " + strings.Join(near, " or ") + "?"
		}
		return contract.UserErrorf("Usage", "there is no command %q; %s", args[0], hint)
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return contract.UserErrorf("Usage", "%w; see %s --help", err, c.CommandPath())
	})
	root.AddCommand(newRun(), newStage(), newValidate(), newPlan(), newViews(), newArchive(), newDevices(), newVersion())
	return root
}

// noArgs refuses arguments as a user error.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return contract.UserErrorf("Usage", "%s takes no argument %q; see its --help", c.CommandPath(), args[0])
	}
	return nil
}
