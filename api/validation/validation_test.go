package validation

import (
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const head = "apiVersion: training.simclr.dev/v1alpha1\nkind: SimCLRRun\n"

// Every rule is tried in test/envtest/api, beside the API server; here is what only files can have.
func TestLoad(t *testing.T) {
	const good = head + "metadata: {name: a}\nspec: {dataset: {name: cifar-10}, batchSize: 256}\n"
	run, err := Load([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if run.Spec.Encoder.Depth != 18 {
		t.Errorf("depth %d, want the default", run.Spec.Encoder.Depth)
	}
	run.Spec.BatchSize = 50_001
	if errs := Validate(run); len(errs) != 1 || run.Spec.BatchSize != 50_001 {
		t.Errorf("Validate gave %v", errs)
	}
	if errs := Validate(&v1alpha1.SimCLRRun{}); len(errs) == 0 {
		t.Error("Validate accepts an empty run")
	}
	for name, tc := range map[string]struct{ text, want string }{
		"no YAML":       {"a: [", "not a SimCLRRun"},
		"another kind":  {"apiVersion: v1\nkind: Pod\n", "set them to training.simclr.dev/v1alpha1 and SimCLRRun"},
		"no metadata":   {head, "metadata.name"},
		"no spec":       {head + "metadata: {name: a}\n", "spec: Required"},
		"unknown field": {good + "extra: 1\n", `unknown field "extra"`},
		"doubled field": {good + "kind: SimCLRRun\n", "already set"},
		"wrong type":    {strings.Replace(good, "256", "many", 1), "spec.batchSize"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("gave %v, want %q", err, tc.want)
			}
		})
	}
}
