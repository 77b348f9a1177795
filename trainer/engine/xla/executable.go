package xla

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/pjrt"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// onDevices is a value: one buffer a device.
type onDevices []*pjrt.Buffer

// Executable is a compiled program whose values are on the devices.
type Executable struct {
	e         *Engine
	p         engine.Program
	programs  []*emit.Program
	loaded    []*pjrt.LoadedExecutable
	variables map[string]*gorgonia.Node
	values    map[*gorgonia.Node]onDevices // variables, feeds, and what segments leave for later ones
	made      map[*gorgonia.Node]int       // the segment that a value comes from; none for variables
}

func newExecutable(e *Engine, p engine.Program, programs []*emit.Program) *Executable {
	x := &Executable{e: e, p: p, programs: programs, variables: map[string]*gorgonia.Node{}, values: map[*gorgonia.Node]onDevices{}, made: map[*gorgonia.Node]int{}}
	for _, v := range p.Variables {
		x.variables[v.Name] = v.Node
	}
	return x
}

// Run copies feeds to the devices, runs the segment and copies its fetches back.
func (x *Executable) Run(segment int, feeds ...engine.Tensor) ([]engine.Tensor, error) {
	s := x.p.Segments[segment]
	if err := engine.CheckFeeds(s, feeds); err != nil {
		return nil, err
	}
	fetched, err := x.run(segment, func(i int) any { return feeds[i].Data })
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", s.Name, err)
	}
	out := make([]engine.Tensor, len(fetched))
	for i, b := range fetched {
		out[i] = engine.Tensor{Shape: s.Fetches[i].Shape()}
		if out[i].Data, err = floats[float32](b, x.exact()); err != nil {
			return nil, fmt.Errorf("segment %s: %w", s.Name, err)
		}
	}
	return out, destroy(fetched...)
}

// Run64 is Run of an engine of Float64, without rounding to float32 anywhere.
func (x *Executable) Run64(segment int, feeds ...[]float64) ([][]float64, error) {
	fetched, err := x.run(segment, func(i int) any { return feeds[i] })
	if err != nil {
		return nil, err
	}
	out := make([][]float64, len(fetched))
	for i, b := range fetched {
		if out[i], err = floats[float64](b, x.exact()); err != nil {
			return nil, err
		}
	}
	return out, destroy(fetched...)
}

// run gives the fetches as they are on the first device.
func (x *Executable) run(segment int, feed func(i int) any) ([]*pjrt.Buffer, error) {
	p := x.programs[segment]
	if err := x.forget(segment); err != nil {
		return nil, err
	}
	fed := 0
	for _, in := range p.Inputs {
		if in.Kind != emit.Feed || !slices.Contains(x.p.Segments[segment].Feeds, in.Node) {
			continue
		}
		v, err := x.upload(in.Shape, in.Shared, feed(fed))
		if err != nil {
			return nil, err
		}
		x.values[in.Node], x.made[in.Node] = v, segment
		fed++
	}
	var in []*pjrt.Buffer
	var donate []bool
	for device := range p.Devices {
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
		return nil, x.e.failed(err)
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
func (x *Executable) keep(segment int, out []*pjrt.Buffer) ([]*pjrt.Buffer, error) {
	p := x.programs[segment]
	var fetched []*pjrt.Buffer
	for i, port := range p.Outputs {
		v := make(onDevices, p.Devices)
		for device := range v {
			v[device] = out[device*len(p.Outputs)+i]
		}
		if port.Kind == emit.Fetch {
			fetched = append(fetched, v[0])
			if err := destroy(v[1:]...); err != nil {
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
	data, err := floats[float32](x.values[n][0], x.exact())
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
	now, err := x.upload(n.Shape(), false, v.Data)
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
	for _, l := range x.loaded {
		if err := l.Destroy(); err != nil {
			return err
		}
	}
	x.loaded = nil
	return nil
}

// exact is the type of what comes from and goes to the host.
func (x *Executable) exact() dtypes.DType {
	if x.e.options.Float64 {
		return dtypes.Float64
	}
	return dtypes.Float32
}

// upload copies values, []float32 or []float64, to the devices: to each its part of the first axis where it is shared.
func (x *Executable) upload(shape []int, shared bool, data any) (onDevices, error) {
	raw := x.raw(data)
	shape = append([]int{}, shape...)
	devices := x.e.options.Devices
	size := len(raw)
	if shared {
		shape[0] /= devices
		size /= devices
	}
	v := make(onDevices, devices)
	for device := range v {
		mine := raw
		if shared {
			mine = raw[device*size : (device+1)*size]
		}
		b, err := x.e.client.BufferFromHost().FromRawData(mine, x.exact(), shape).ToDeviceNum(device).Done()
		if err != nil {
			return nil, x.e.failed(err)
		}
		v[device] = b
	}
	return v, nil
}

// raw are the bytes of values in the type that the devices take.
func (x *Executable) raw(data any) []byte {
	if x.e.options.Float64 {
		wide, ok := data.([]float64)
		if !ok {
			wide = convert[float64](data.([]float32))
		}
		return bytesOf(wide)
	}
	return bytesOf(data.([]float32))
}

func convert[to, from float32 | float64](in []from) []to {
	if same, ok := any(in).([]to); ok {
		return same
	}
	out := make([]to, len(in))
	for i, v := range in {
		out[i] = to(v)
	}
	return out
}

func bytesOf[T float32 | float64](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(T(0)))) //nolint:gosec // of the slice's own memory
}

// floats copies a buffer to the host.
func floats[T float32 | float64](b *pjrt.Buffer, t dtypes.DType) ([]T, error) {
	if t == dtypes.Float64 {
		v, _, err := pjrt.BufferToArray[float64](b)
		return convert[T](v), err
	}
	v, _, err := pjrt.BufferToArray[float32](b)
	return convert[T](v), err
}
