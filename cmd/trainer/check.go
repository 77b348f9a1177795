package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/report"
	"github.com/simclr-operator/simclr-operator/trainer/stage"
)

func newValidate() *cobra.Command {
	file := ""
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Say what is wrong with a SimCLRRun, as the API server would",
		Long: `validate checks a SimCLRRun by the schema and the rules of its CustomResourceDefinition,
without a cluster and without its data. Exit code 10: it is not valid. "plan" also
looks at the data.`,
		Example: "  simclr-trainer validate -f run.yaml",
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needFile(file); err != nil {
				return err
			}
			run, err := load(file)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: run %s is valid; its stages are %s\n", file, run.Name, strings.Join(run.Spec.StageNames(), ", "))
			return err
		},
	}
	fileFlag(c, &file)
	return c
}

func newPlan() *cobra.Command {
	var file string
	var from stage.Sources
	c := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Say what a SimCLRRun will do: steps, schedules, memory, and every default",
		Long: `plan counts the images and prints what each stage will do, and the spec with every
default. A known dataset is not downloaded for it: its numbers are known.`,
		Example: `  simclr-trainer plan -f run.yaml
  simclr-trainer plan -f run.yaml --dataset ~/images`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := needFile(file); err != nil {
				return err
			}
			run, err := load(file)
			if err != nil {
				return err
			}
			if err := claims(&run.Spec, from, ""); err != nil {
				return err
			}
			if from.Cache == "" {
				from.Cache = cacheDir()
			}
			p, err := planned(c.Context(), run, from)
			if err != nil {
				return err
			}
			needs, err := onAccelerator(&run.Spec)
			if err != nil {
				return err
			}
			spec, err := yaml.Marshal(map[string]any{"spec": run.Spec})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s%s\nWith every default:\n%s", p, needs, spec)
			return err
		},
	}
	fileFlag(c, &file)
	dataFlags(c, &from)
	return c
}

// onAccelerator says what a step needs of the run's accelerator, "" on a CPU.
func onAccelerator(spec *v1alpha1.SimCLRRunSpec) (string, error) {
	a, err := plan.Accelerate(spec)
	if a == nil || err != nil {
		return "", err
	}
	text := "\n" + a.String() + "\n"
	if err := a.Check(); err != nil {
		text += "It does not fit: " + err.Error() + "\n"
	}
	return text, nil
}

// planned shows how far the counting is, and what is tried again, where it takes longer than a moment.
func planned(ctx context.Context, run *v1alpha1.SimCLRRun, from stage.Sources) (*plan.Plan, error) {
	t := report.New(run.Name, "plan", 1, 0)
	counting, counted := context.WithCancel(context.Background())
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		select {
		case <-counting.Done():
		case <-time.After(time.Second):
			<-report.Show(counting, os.Stderr, t, map[string]bool{})
		}
	}()
	defer func() {
		counted()
		<-shown
	}()
	return stage.Plan(ctx, run, from, defaultThreads(), t)
}
