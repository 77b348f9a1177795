package xla

import (
	"fmt"

	"github.com/gomlx/go-xla/pjrt"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// Views makes views on the devices, where a step reads them. Its programs may run while a step does.
type Views struct {
	e       *Engine
	program *emit.Program
	loaded  *pjrt.LoadedExecutable
}

// Views compiles the program of emit.Views, for so many rows of this process: of several each makes its own.
func (e *Engine) Views(c augment.Config, edge, rows int) (*Views, error) {
	e = e.alone()
	p, err := emit.Views(c, edge, rows, emit.Options{Devices: e.options.Devices, Float64: e.options.Float64})
	if err != nil {
		return nil, fmt.Errorf("xla: views: %w", err)
	}
	l, err := e.load("views", p)
	if err != nil {
		return nil, fmt.Errorf("xla: compiling views: %w", e.memory(firstLine(err)))
	}
	return &Views{e, p, l}, nil
}

// Make views (rows, 3, S, S) from sources (rows,edge,edge,3) and parameters (rows, augment.Parameters). What it
// gives is fed once, or closed.
func (v *Views) Make(sources []uint8, parameters []float32) (engine.Tensor, error) {
	if len(sources) != engine.Size(v.program.Inputs[0].Shape) || len(parameters) != engine.Size(v.program.Inputs[1].Shape) {
		return engine.Tensor{}, fmt.Errorf("views are made of %v pixels and %v parameters, not of %d and %d",
			v.program.Inputs[0].Shape, v.program.Inputs[1].Shape, len(sources), len(parameters))
	}
	var in []onDevices
	defer func() {
		for _, placed := range in {
			_ = placed.Close() // the program has read it
		}
	}()
	for i, raw := range [][]byte{sources, bytesOf(parameters)} {
		p := v.program.Inputs[i]
		placed, err := v.e.upload(p.Type, p.Shape, p.Shared, raw)
		if err != nil {
			return engine.Tensor{}, err
		}
		in = append(in, placed)
	}
	var fed []*pjrt.Buffer
	for device := range v.program.Devices {
		fed = append(fed, in[0][device], in[1][device])
	}
	made, err := v.loaded.Execute(fed...).Done()
	if err != nil {
		return engine.Tensor{}, v.e.failed(err, v.loaded)
	}
	return engine.Tensor{Shape: v.program.Outputs[0].Shape, Remote: onDevices(made)}, nil
}

// Close frees the program.
func (v *Views) Close() error { return v.loaded.Destroy() }
