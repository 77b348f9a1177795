package xla

import (
	"fmt"
	"slices"

	"github.com/gomlx/go-xla/pjrt"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// Executable is a compiled program whose values are on the devices.
type Executable struct {
	e         *Engine
	p         engine.Program
	programs  []*emit.Program
	loaded    []*pjrt.LoadedExecutable
	variables map[string]*gorgonia.Node
	values    map[*gorgonia.Node]onDevices // variables, feeds, and what segments leave for later ones
	made      map[*gorgonia.Node]int       // the segment that a value comes from; none for variables
	left      map[int][]*pjrt.Buffer       // fetches of segments that are seldom looked at
}

func newExecutable(e *Engine, p engine.Program, programs []*emit.Program) *Executable {
	x := &Executable{e: e, p: p, programs: programs, variables: map[string]*gorgonia.Node{}, values: map[*gorgonia.Node]onDevices{}, made: map[*gorgonia.Node]int{}, left: map[int][]*pjrt.Buffer{}}
	for _, v := range p.Variables {
		x.variables[v.Name] = v.Node
	}
	return x
}

// Run copies feeds to the devices, runs the segment and copies its fetches back.
func (x *Executable) Run(segment int, feeds ...engine.Tensor) ([]engine.Tensor, error) {
	s := x.p.Segments[segment]
	if err := x.checkFeeds(segment, feeds); err != nil {
		return nil, err
	}
	fetched, err := x.run(segment, func(i int) any {
		if placed, ok := feeds[i].Remote.(onDevices); ok {
			return placed
		}
		return feeds[i].Data
	})
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", s.Name, err)
	}
	out := make([]engine.Tensor, len(fetched))
	for i, v := range fetched {
		out[i] = engine.Tensor{Shape: s.Fetches[i].Shape()}
		if slices.Contains(s.Seldom, s.Fetches[i]) {
			out[i].Remote = v
			x.left[segment] = append(x.left[segment], v...)
			continue
		}
		if out[i].Data, err = x.e.download(v); err != nil {
			return nil, fmt.Errorf("segment %s: %w", s.Name, err)
		}
		if err := v.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Run64 is Run of an engine of Float64, without rounding to float32 anywhere.
func (x *Executable) Run64(segment int, feeds ...[]float64) ([][]float64, error) {
	fetched, err := x.run(segment, func(i int) any { return feeds[i] })
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(fetched))
	for i, v := range fetched {
		if out[i], err = floats[float64](x.e, v); err != nil {
			return nil, err
		}
	}
	return out, destroy(slices.Concat(fetched...)...)
}

// run gives the fetches: as they are on the first device, or what devices share as the parts of all.
func (x *Executable) run(segment int, feed func(i int) any) ([]onDevices, error) {
	p := x.programs[segment]
	if err := x.forget(segment); err != nil {
		return nil, err
	}
	fed := 0
	for _, in := range p.Inputs {
		if in.Kind != emit.Feed || !slices.Contains(x.p.Segments[segment].Feeds, in.Node) {
			continue
		}
		v, err := x.fed(in, feed(fed))
		if err != nil {
			return nil, err
		}
		x.values[in.Node], x.made[in.Node] = v, segment
		fed++
	}
	var in []*pjrt.Buffer
	var donate []bool
	for device := range x.e.mesh.local {
		for _, port := range p.Inputs {
			v := x.values[port.Node]
			if v == nil {
				return nil, fmt.Errorf("what segment %s leaves is not there: run it first", x.p.Segments[x.source(port.Node)].Name)
			}
			in, donate = append(in, v[device]), append(donate, port.Alias >= 0)
		}
	}
	out, err := x.loaded[segment].Execute(in...).SetDonate(donate).Done()
	if err != nil {
		return nil, x.e.failed(err, x.loaded[segment])
	}
	return x.keep(segment, out)
}

// source is the segment that leaves a value.
func (x *Executable) source(n *gorgonia.Node) int {
	for i, p := range x.programs {
		for _, out := range append(slices.Clone(p.Outputs), p.Inputs...) {
			if out.Node == n {
				return i
			}
		}
	}
	return 0
}

// keep takes a run's results: all of the first device, then all of the next.
func (x *Executable) keep(segment int, out []*pjrt.Buffer) ([]onDevices, error) {
	p := x.programs[segment]
	var fetched []onDevices
	for i, port := range p.Outputs {
		v := make(onDevices, len(x.e.mesh.local))
		for device := range v {
			v[device] = out[device*len(p.Outputs)+i]
		}
		if port.Kind == emit.Fetch {
			need := 1
			if port.Shared {
				need = len(v)
			}
			fetched = append(fetched, v[:need])
			if err := v[need:].Close(); err != nil {
				return nil, err
			}
			continue
		}
		x.values[port.Node] = v
		if port.Kind == emit.Kept {
			x.made[port.Node] = segment
		}
	}
	return fetched, nil
}

// forget frees what a segment that runs again, and those after it, left.
func (x *Executable) forget(segment int) error {
	if err := destroy(x.left[segment]...); err != nil {
		return err
	}
	delete(x.left, segment)
	for n, made := range x.made {
		if made < segment {
			continue
		}
		if err := destroy(x.values[n]...); err != nil {
			return err
		}
		delete(x.values, n)
		delete(x.made, n)
	}
	return nil
}

func destroy(bs ...*pjrt.Buffer) error {
	for _, b := range bs {
		if err := b.Destroy(); err != nil {
			return err
		}
	}
	return nil
}

// Get is a copy of a variable.
func (x *Executable) Get(name string) (engine.Tensor, error) {
	n, ok := x.variables[name]
	if !ok {
		return engine.Tensor{}, fmt.Errorf("no variable %q", name)
	}
	data, err := x.e.download(x.values[n][:1])
	if shape := n.Shape(); err == nil && x.e.emitted().Turned(shape) {
		data = reversed(data, shape[2]*shape[3], shape[1], shape[0])
	}
	return engine.Tensor{Shape: append([]int{}, n.Shape()...), Data: data}, err
}

// Set copies a value into a variable.
func (x *Executable) Set(name string, v engine.Tensor) error {
	n, ok := x.variables[name]
	if !ok {
		return fmt.Errorf("no variable %q", name)
	}
	if len(v.Data) != engine.Size(n.Shape()) {
		return fmt.Errorf("variable %s has shape %v, not %v", name, n.Shape(), v.Shape)
	}
	shape, data, options := n.Shape(), v.Data, x.e.emitted()
	if options.Turned(shape) {
		data = reversed(data, shape[0], shape[1], shape[2]*shape[3])
	}
	now, err := x.upload(options.OnDevice(shape), false, data)
	if err != nil {
		return err
	}
	before := x.values[n]
	x.values[n] = now
	return destroy(before...)
}

// Close frees the devices' memory.
func (x *Executable) Close() error {
	for _, v := range x.values {
		if err := destroy(v...); err != nil {
			return err
		}
	}
	x.values = map[*gorgonia.Node]onDevices{}
	for segment := range x.left {
		if err := destroy(x.left[segment]...); err != nil {
			return err
		}
	}
	x.left = map[int][]*pjrt.Buffer{}
	for _, l := range x.loaded {
		if err := l.Destroy(); err != nil {
			return err
		}
	}
	x.loaded = nil
	return nil
}
