package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

// A measure reads one accuracy, in percent.
type measure struct {
	name string
	of   func(v1alpha1.Results) string
}

var measures = []measure{
	{"kNN top-1", func(r v1alpha1.Results) string { return r.KNNTop1 }},
	{"linear top-1", func(r v1alpha1.Results) string { return r.LinearTop1 }},
}

// table compares pretrained with random encoders, and finetuning with training from scratch, seed by seed.
func table(w io.Writer, name string, pretrained, random []v1alpha1.Results) error {
	fmt.Fprintf(w, "| %s, %d seeds | SimCLR | baseline | difference ± standard error |\n|---|---|---|---|\n", name, len(pretrained))
	for _, m := range measures {
		if err := row(w, m.name+" (baseline: random initialisation)", values(pretrained, m.of), values(random, m.of)); err != nil {
			return err
		}
	}
	return row(w, "finetuned on 1% of labels (baseline: from scratch)",
		values(pretrained, finetuned("pretrained")), values(pretrained, finetuned("scratch")))
}

func finetuned(name string) func(v1alpha1.Results) string {
	return func(r v1alpha1.Results) string {
		for _, f := range r.Finetune {
			if f.Name == name {
				return f.Top1
			}
		}
		return ""
	}
}

func values(results []v1alpha1.Results, of func(v1alpha1.Results) string) []string {
	texts := make([]string, len(results))
	for i, r := range results {
		texts[i] = of(r)
	}
	return texts
}

func row(w io.Writer, name string, ours, baseline []string) error {
	a, err := numbers(ours)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b, err := numbers(baseline)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	meanA, _ := report.MeanAndError(a)
	meanB, _ := report.MeanAndError(b)
	d, e := report.MeanAndError(differences(a, b))
	_, err = fmt.Fprintf(w, "| %s | %.2f %v | %.2f %v | %+.2f ± %.2f |\n", name, meanA, ours, meanB, baseline, d, e)
	return err
}

func numbers(texts []string) ([]float64, error) {
	result := make([]float64, len(texts))
	for i, text := range texts {
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, err
		}
		result[i] = v
	}
	return result, nil
}
