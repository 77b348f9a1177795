// Command emit writes the programs of a run's pretraining as StableHLO, as engine/xla would compile them. It needs
// neither a device nor a plugin, so that a step can be compiled for chips that are not here.
//
//	go run ./hack/accelerators/emit -f run.yaml -devices 8 -platform cuda -o DIR
//
// writes DIR/step.mlir and DIR/step.json, which lists the inputs and outputs in their order; with micro-batches
// forward, backward, update and ntxent instead. The batch is the spec's, of all devices together. Where the run's accelerator makes
// the views, DIR/views.mlir is the program that makes those of what is computed at once; views.json also names what it does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/api/validation"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
	"github.com/simclr-operator/simclr-operator/trainer/pretrain"
)

func main() {
	file := flag.String("f", "", "the SimCLRRun, YAML or JSON")
	devices := flag.Int("devices", 1, "devices that share the batch as one program")
	platform := flag.String("platform", "cuda", "what is compiled for: cuda or tpu")
	out := flag.String("o", ".", "directory that the programs are written to")
	flag.Parse()
	if err := write(*file, emit.Options{Devices: *devices, Platform: *platform}, *out); err != nil {
		fmt.Fprintln(os.Stderr, "emit:", err)
		os.Exit(1)
	}
}

func write(file string, o emit.Options, out string) error {
	spec, err := read(file)
	if err != nil {
		return err
	}
	batch := int(spec.BatchSize)
	microBatch := batch
	if m := spec.Pretraining.MicroBatchSize; m != nil {
		microBatch = int(*m)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := writeStep(pretrain.FromSpec(spec, batch, microBatch), o, out); err != nil {
		return err
	}
	if spec.Accelerator.Augmentations != v1alpha1.AugmentationsAccelerator {
		return nil
	}
	return writeViews(spec, 2*microBatch, o.Devices, out)
}

func read(file string) (*v1alpha1.SimCLRRunSpec, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	run, err := validation.Load(raw)
	if err != nil {
		return nil, err
	}
	if run, err = v1alpha1.Resolve(run); err != nil {
		return nil, err
	}
	return &run.Spec, nil
}

func writeStep(c pretrain.Config, o emit.Options, out string) error {
	programs, err := pretrain.Programs(c)
	if err != nil {
		return err
	}
	for _, p := range programs {
		texts, err := emit.Programs(p, o)
		if err != nil {
			return err
		}
		for i, t := range texts {
			if err := save(filepath.Join(out, p.Segments[i].Name), t, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeViews writes the program that makes so many views, of sources of the size that the dataset's format tells (trainer/stage).
func writeViews(s *v1alpha1.SimCLRRunSpec, rows, devices int, out string) error {
	c, err := augment.FromSpec(int(*s.Dataset.ImageSize), s.Augmentations)
	if err != nil {
		return err
	}
	p, err := emit.Views(c, c.Edge(plan.LongestSide(s.Dataset)), rows, emit.Options{Devices: devices})
	if err != nil {
		return err
	}
	return save(filepath.Join(out, "views"), p, map[string]any{"operations": plan.ViewOperations(s.Augmentations)})
}

// port is an input or output as the list says it.
type port struct {
	Kind   string `json:"kind"`
	Name   string `json:"name,omitempty"`
	Shape  []int  `json:"shape"`
	Type   string `json:"type"`
	Shared bool   `json:"shared,omitempty"` // devices share its first axis
	Alias  *int   `json:"alias,omitempty"`  // the output that takes an input's memory
}

// save a program and what is known about it.
func save(name string, p *emit.Program, about map[string]any) error {
	if err := os.WriteFile(name+".mlir", p.Text, 0o644); err != nil {
		return err
	}
	list := func(ports []emit.Port) []port {
		all := []port{}
		for _, q := range ports {
			one := port{Kind: q.Kind.String(), Name: q.Name, Shape: q.Shape, Type: q.Type.String(), Shared: q.Shared}
			if q.Alias >= 0 {
				one.Alias = &q.Alias
			}
			all = append(all, one)
		}
		return all
	}
	all := map[string]any{"devices": p.Devices, "inputs": list(p.Inputs), "outputs": list(p.Outputs)}
	maps.Copy(all, about)
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name+".json", append(raw, '\n'), 0o644)
}
