package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

// version is set by the linker.
var version = "dev"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "simclr-trainer %s, trainer contract %d, %s\n", version, contract.Version, runtime.Version())
			return err
		},
	}
}

func newDevices() *cobra.Command {
	threads := 0
	c := &cobra.Command{
		Use:     "devices",
		Short:   "Show what this program can train on here",
		Example: "  simclr-trainer devices",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if threads < 1 {
				return contract.UserErrorf("Usage", "--threads %d; set it to at least 1", threads)
			}
			e, err := cpu.New(threads)
			if err != nil {
				return err
			}
			defer e.Close()
			info := e.Info()
			if _, err := fmt.Fprintf(c.OutOrStdout(), "CPU  engine %s  threads %d  instruction set %s  oneDNN %s\n", e.Name(), info.Threads, info.ISA, info.OneDNN); err != nil {
				return err
			}
			return stage.Accelerators(c.OutOrStdout())
		},
	}
	c.Flags().IntVar(&threads, "threads", defaultThreads(), "compute threads")
	return c
}
