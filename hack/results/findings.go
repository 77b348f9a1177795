package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// A finding of the paper, in small: runs that differ in one thing.
type finding struct {
	title    string
	variants []variant // the first is what the others are compared with
}

// A variant is a file of config/samples/findings.
type variant struct{ label, file string }

var findings = []finding{
	{"Composition of augmentations (section 3.1)", []variant{{"crop and colour", "base"}, {"crop alone", "crop-alone"}, {"colour alone", "color-alone"}}},
	{"Projection head (section 4.2)", []variant{{"nonlinear", "base"}, {"linear", "head-linear"}, {"none", "head-none"}}},
	{"What a linear classifier sees (section 4.2)", []variant{{"h", "base"}, {"z", "features-z"}}},
	{"Batch size (section 5.2)", []variant{{"256", "base"}, {"64", "batch-64"}, {"512", "batch-512"}}},
	{"Epochs (section 5.2)", []variant{{"10", "base"}, {"5", "epochs-5"}, {"20", "epochs-20"}}},
}

// measureFindings runs every file at every seed, and prints a table for each finding.
func measureFindings(ctx context.Context, output, cifar, threads string, seeds int64) error {
	if cifar == "" {
		return errors.New("name the directory of CIFAR-10 with --cifar10")
	}
	args := []string{"--dataset", cifar, "--threads", threads}
	for _, f := range findings {
		all := make([][]v1alpha1.Results, len(f.variants))
		for i, v := range f.variants {
			for seed := range seeds {
				run, err := runs.Load(filepath.Join("config", "samples", "findings", v.file+".yaml"), 0, 0)
				if err != nil {
					return err
				}
				run.Spec.Pretraining.Seed = &seed
				e := experiment{args: args}
				if from := run.Spec.Pretraining.From; from != nil { // a run before it
					e.args = append(slices.Clone(args), "--encoder", filepath.Join(directory(output, from.Run, seed), contract.EncoderDir))
				}
				r, err := e.results(ctx, directory(output, v.file, seed), run)
				if err != nil {
					return err
				}
				all[i] = append(all[i], r)
			}
		}
		if err := f.table(os.Stdout, all); err != nil {
			return err
		}
	}
	return nil
}

// directory of a finding's run.
func directory(output, file string, seed int64) string {
	return filepath.Join(output, fmt.Sprintf("finding-%s-%d", file, seed))
}

// table has a row for each variant; differences are of the linear accuracies, seed by seed, from the first variant.
func (f finding) table(w io.Writer, all [][]v1alpha1.Results) error {
	fmt.Fprintf(w, "| %s, %d seeds | kNN top-1 | linear top-1 | difference ± standard error |\n|---|---|---|---|\n", f.title, len(all[0]))
	var first []float64
	for i, v := range f.variants {
		knn, err := numbers(values(all[i], measures[0].of))
		if err != nil {
			return fmt.Errorf("%s: %w", v.file, err)
		}
		linear, err := numbers(values(all[i], measures[1].of))
		if err != nil {
			return fmt.Errorf("%s: %w", v.file, err)
		}
		text := ""
		if i == 0 {
			first = linear
		} else {
			d, e := report.MeanAndError(differences(linear, first))
			text = fmt.Sprintf("%+.2f ± %.2f", d, e)
		}
		a, _ := report.MeanAndError(knn)
		b, _ := report.MeanAndError(linear)
		fmt.Fprintf(w, "| %s | %.2f %v | %.2f %v | %s |\n", v.label, a, knn, b, linear, text)
	}
	_, err := fmt.Fprintln(w)
	return err
}

func differences(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}
