package main

import (
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
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
	differences := make([]float64, len(a))
	for i := range a {
		differences[i] = a[i] - b[i]
	}
	meanA, _ := meanAndError(a)
	meanB, _ := meanAndError(b)
	d, e := meanAndError(differences)
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

// meanAndError is the mean and its standard error, s/√n with the unbiased s; one value has none.
func meanAndError(x []float64) (mean, standardError float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		standardError += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(standardError / max(n-1, 1) / n)
}
