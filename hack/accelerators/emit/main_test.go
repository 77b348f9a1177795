package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

const run = `apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {name: case}
spec:
  dataset: {uri: "pvc://data/images", format: ImageFolder, imageSize: 16}
  encoder: {depth: 18, widthMultiplier: "0.0625"}
  batchSize: 8
`

// The programs of a run, the views' where its accelerator makes them, of as many images as are computed at once.
func TestPrograms(t *testing.T) {
	for name, tc := range map[string]struct {
		more  string
		want  string
		views int // rows
	}{
		"on a GPU":                  {"  accelerator: {type: NvidiaGPU}\n", "step views", 16},
		"on a GPU, the host's":      {"  accelerator: {type: NvidiaGPU, augmentations: Host}\n", "step", 0},
		"on a GPU in micro-batches": {"  accelerator: {type: NvidiaGPU}\n  pretraining: {microBatchSize: 4, batchNormStatistics: MicroBatch}\n", "backward forward ntxent update views", 8},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "run.yaml")
			if err := os.WriteFile(file, []byte(run+tc.more), 0o600); err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "out")
			if err := write(file, emit.Options{Devices: 2, Platform: "cuda"}, out); err != nil {
				t.Fatal(err)
			}
			texts, err := filepath.Glob(filepath.Join(out, "*.mlir"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, text := range texts {
				got = append(got, strings.TrimSuffix(filepath.Base(text), ".mlir"))
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("programs %v, want %s", got, tc.want)
			}
			if tc.views > 0 {
				checkViews(t, out, tc.views)
			}
		})
	}
}

func checkViews(t *testing.T, dir string, rows int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "views.json"))
	if err != nil {
		t.Fatal(err)
	}
	var about struct {
		Devices         int
		Inputs, Outputs []port
		Operations      string
	}
	if err := json.Unmarshal(raw, &about); err != nil {
		t.Fatal(err)
	}
	want := []port{
		{Kind: "feed", Name: "sources", Shape: []int{rows, 32, 32, 3}, Type: "Uint8", Shared: true},
		{Kind: "feed", Name: "parameters", Shape: []int{rows, augment.Parameters}, Type: "Float32", Shared: true},
		{Kind: "fetch", Name: "views", Shape: []int{rows, 3, 16, 16}, Type: "Float32", Shared: true},
	}
	if diff := cmp.Diff(want, append(about.Inputs, about.Outputs...)); diff != "" || about.Devices != 2 || about.Operations != "color" {
		t.Errorf("%d devices, operations %q: %s", about.Devices, about.Operations, diff)
	}
}
