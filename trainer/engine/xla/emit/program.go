// Package emit writes the segments of a program as StableHLO, the language that XLA compiles. It needs no XLA.
//
// The graph is walked as every other executor walks it; each operator of trainer/op has an emitter, gorgonia's own
// addition has one too. Shapes stay the graph's logical ones (NCHW): how values lie in memory, and what is computed in one
// pass, is the compiler's to choose.
package emit

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types/shardy"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
)

// Options of a program's text.
type Options struct {
	// Devices that share the images of a batch; 0 is 1. Batch norm and NT-Xent see the images of all.
	Devices int
	// Float64 computes everything in double precision, for tests that compare executors.
	Float64 bool
	// Platform is PJRT's name of what the program is compiled for, such as cuda or tpu: a few operators are written, and weights of
	// convolutions kept, as its compiler does best.
	Platform string
}

// tpu is the platform of TPUs.
const tpu = "tpu"

// Kind is what a program's input or output is.
type Kind int

// The kinds.
const (
	Variable Kind = iota // of the program: a parameter, a momentum, running statistics
	Feed                 // of this segment or an earlier one
	Kept                 // what an earlier segment computed and a later one reads
	Fetch                // a result
)

func (k Kind) String() string { return [...]string{"variable", "feed", "kept", "fetch"}[k] }

// Port is an input or an output of a program.
type Port struct {
	Kind  Kind
	Name  string // of a variable or feed
	Node  *gorgonia.Node
	Shape []int // of all devices together, in the device's order of axes (Options.Turned)
	Type  dtypes.DType
	// Shared: each device has its part of the first axis; else each has all of it.
	Shared bool
	// Alias is the output that takes this input's memory, or -1.
	Alias int
}

// Program is a segment as StableHLO.
type Program struct {
	Text    []byte
	Inputs  []Port
	Outputs []Port
	Devices int
}

// Programs are a program's segments in their order.
func Programs(p engine.Program, o Options) ([]*Program, error) {
	l, err := lay(p)
	if err != nil {
		return nil, err
	}
	o.Devices = max(o.Devices, 1)
	kept := map[*gorgonia.Node]Port{} // what earlier segments leave
	programs := make([]*Program, len(p.Segments))
	for i, s := range p.Segments {
		if programs[i], err = write(p, l, i, o, kept); err != nil {
			return nil, fmt.Errorf("segment %s: %w", s.Name, err)
		}
	}
	return programs, nil
}

func write(p engine.Program, l *layout, segment int, o Options, kept map[*gorgonia.Node]Port) (out *Program, err error) {
	defer func() { err = asError(recover(), err) }()
	e, err := newEmission(p, segment, o)
	if err != nil {
		return nil, err
	}
	out = &Program{Devices: o.Devices}
	e.inputs(out, l, kept)
	for _, n := range l.segments[segment].compute {
		if err := e.node(n); err != nil {
			return nil, err
		}
	}
	if err := e.outputs(out, l, kept); err != nil {
		return nil, err
	}
	out.Text, err = e.builder.Build()
	return out, err
}

// emission is one function that is being written.
type emission struct {
	p       engine.Program
	segment int
	devices int
	options Options
	builder *stablehlo.Builder
	mesh    *shardy.DeviceMesh // nil: one device
	fn      *stablehlo.Function
	// exact is the type of parameters, their gradients, statistics, dense layers, sums and the loss; activation that of
	// what convolutional layers give.
	exact, activation dtypes.DType
	values            map[*gorgonia.Node]value
	foldings          map[folding]*stablehlo.Function
	similar           map[similarityKey]*similarity
	normalized        map[value]bool  // what batch norm gave, and ReLU of that
	before            map[value]value // what ReLU was given, by what it gave
	again             map[value]value // what is written twice, the second time
	turned            map[value]bool  // those that are not in the graph's axes
}

// alone is a program of no graph.
func alone(name string, o Options) (*emission, error) {
	o.Devices, o.Float64 = max(o.Devices, 1), false
	return newEmission(engine.Program{Segments: []engine.Segment{{Name: name}}}, 0, o)
}

func newEmission(p engine.Program, segment int, o Options) (*emission, error) {
	e := &emission{p: p, segment: segment, devices: o.Devices, options: o, exact: dtypes.Float32, activation: dtypes.Float32,
		builder: stablehlo.New(stablehlo.NormalizeIdentifier(p.Segments[segment].Name)),
		values:  map[*gorgonia.Node]value{}, foldings: map[folding]*stablehlo.Function{}, similar: map[similarityKey]*similarity{},
		normalized: map[value]bool{}, again: map[value]value{}, before: map[value]value{}, turned: map[value]bool{}}
	switch {
	case o.Float64:
		e.exact, e.activation = dtypes.Float64, dtypes.Float64
	case p.Precision == engine.BF16:
		e.activation = dtypes.BFloat16
	}
	if o.Devices > 1 {
		var err error
		if e.mesh, err = shardy.NewDeviceMesh("devices", []int{o.Devices}, []string{"batch"}); err != nil {
			return nil, err
		}
		e.builder.WithShardy(e.mesh)
	}
	e.fn = e.builder.Main()
	return e, nil
}

// sharding of a port, nil for one device.
func (e *emission) sharding(p Port) *shardy.ShardingSpec {
	if e.mesh == nil {
		return nil
	}
	s := shardy.NewShardingSpec(e.mesh)
	if p.Shared {
		return s.AddShardedAxis("batch")
	}
	return s
}

// shared says whether devices share a value whose first axis are images.
func (e *emission) shared(shape []int, images bool) bool {
	return images && e.devices > 1 && len(shape) > 0 && shape[0]%e.devices == 0
}

// nexts are the variables that the segment updates.
func nexts(p engine.Program, segment int) []engine.Variable {
	if !p.Segments[segment].Updates {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Variables), func(v engine.Variable) bool { return v.Next == nil })
}
