// Command emit writes the programs of a run's pretraining step as StableHLO, as engine/xla would compile them. It needs
// neither a device nor a plugin, so that a step can be compiled for chips that are not here.
//
//	go run ./hack/accelerators/emit -f run.yaml -devices 8 -platform cuda -o DIR
//
// writes DIR/step.mlir and DIR/step.json, which lists the inputs and outputs in their order; with micro-batches
// forward, backward, update and ntxent instead. The batch is the spec's, of all devices together.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/api/validation"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
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
	c, err := read(file)
	if err != nil {
		return err
	}
	programs, err := pretrain.Programs(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		texts, err := emit.Programs(p, o)
		if err != nil {
			return err
		}
		for i, t := range texts {
			if err := save(filepath.Join(out, p.Segments[i].Name), t); err != nil {
				return err
			}
		}
	}
	return nil
}

func read(file string) (c pretrain.Config, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return c, err
	}
	run, err := validation.Load(raw)
	if err != nil {
		return c, err
	}
	if run, err = v1alpha1.Resolve(run); err != nil {
		return c, err
	}
	s := &run.Spec
	batch := int(s.BatchSize)
	microBatch := batch
	if m := s.Pretraining.MicroBatchSize; m != nil {
		microBatch = int(*m)
	}
	return pretrain.FromSpec(s, batch, microBatch), nil
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

func save(name string, p *emit.Program) error {
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
	raw, err := json.MarshalIndent(map[string]any{"devices": p.Devices, "inputs": list(p.Inputs), "outputs": list(p.Outputs)}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name+".json", append(raw, '\n'), 0o644)
}
