package api_test

import (
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/api/validation"
)

func TestSamples(t *testing.T) {
	var files []string
	for _, dir := range []string{"samples", "samples/findings"} {
		some, err := filepath.Glob(filepath.Join("..", "..", "..", "config", dir, "*.yaml"))
		if err != nil || len(some) < 5 {
			t.Fatalf("found %d files in config/%s, %v", len(some), dir, err)
		}
		files = append(files, some...)
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := create(patched(t, string(text), "metadata: {namespace: default}")); err != nil {
				t.Errorf("API server: %v", err)
			}
			run, err := validation.Load(text)
			if err != nil {
				t.Fatal(err)
			}
			if errs := validation.Validate(run); len(errs) > 0 {
				t.Errorf("validation: %v", errs.ToAggregate())
			}
			resolved, err := v1alpha1.Resolve(run)
			if err != nil {
				t.Fatal(err)
			}
			if errs := validation.Validate(resolved); len(errs) > 0 {
				t.Errorf("validation of the resolved run: %v", errs.ToAggregate())
			}
			again, err := yaml.Marshal(resolved)
			if err != nil {
				t.Fatal(err)
			}
			if err := create(patched(t, string(again), "metadata: {namespace: default}\nstatus: null")); err != nil {
				t.Errorf("API server, of the resolved run: %v", err)
			}
		})
	}
}
