// Package engine is the interface between the graph of a training step and what executes it.
//
// A Program is one gorgonia expression graph of trainer/op's pure operators, cut into segments that
// run in order. engine/interp runs it naively in float64, engine/cpu with oneDNN, engine/xla on accelerators.
package engine

import (
	"fmt"
	"io"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
)

// Tensor is a host value: float32, row-major, in the graph's logical layout (NCHW, OIHW).
type Tensor struct {
	Shape []int
	Data  []float32
	// Remote is the value where an executable that is a Remote has it on its devices; Data is nil then.
	Remote io.Closer
}

// NewTensor is a zero tensor of a shape.
func NewTensor(shape ...int) Tensor {
	return Tensor{Shape: shape, Data: make([]float32, Size(shape))}
}

// Scalar is a tensor of shape (1).
func Scalar(v float32) Tensor { return Tensor{Shape: []int{1}, Data: []float32{v}} }

// Size is the number of elements of a shape.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Variable is an input that the executable keeps from run to run: a parameter, a momentum, running
// statistics.
type Variable struct {
	Name string
	Node *gorgonia.Node
	// Next is the variable's value after a segment with Updates; nil where it is constant.
	Next *gorgonia.Node
}

// Segment is a part of a program that runs at once.
type Segment struct {
	Name string
	// Feeds are the input nodes that this segment is given; later segments see them too.
	Feeds gorgonia.Nodes
	// Fetches are the nodes whose values come back.
	Fetches gorgonia.Nodes
	// Updates: at the segment's end every variable takes the value of its Next.
	Updates bool
	// Guard is one of the fetches, of shape (1): where it is no finite number, variables stay as they are. nil: no guard.
	Guard *gorgonia.Node
	// Seldom are the fetches that are rarely looked at: an executable that is a Remote leaves them on its devices until then, each row
	// where it was computed.
	Seldom gorgonia.Nodes
	// Images are the feeds whose first axis are the images of a batch: devices of one program share them.
	Images gorgonia.Nodes
}

// Precision is what a program's activations are kept in, and the least that its convolutions multiply. Parameters,
// their gradients, statistics, dense layers, sums and the loss are always float32.
type Precision int

// The precisions.
const (
	FP32 Precision = iota // IEEE 754 single precision
	BF16                  // bfloat16: 8 bits of precision, summed in float32
)

// Program says what of a graph is to run. Segments run in their order within one step; what an
// earlier one computed stays alive for later ones (the forward pass's activations, for the backward
// pass). Only what fetches and Nexts need is computed.
type Program struct {
	Graph     *gorgonia.ExprGraph
	Variables []Variable
	Segments  []Segment
	Precision Precision
	Workers   Workers // nil: this one alone
	// Early, which may be nil, is told a segment's fetch as soon as nothing reads or writes its value any more in that segment,
	// while the rest of it runs: of gradients the last layer's first. It must not wait. An engine may leave it out.
	Early func(segment, fetch int, value Tensor)
}

// Engine compiles programs.
type Engine interface {
	// Name of the engine, such as "cpu".
	Name() string
	// Compile plans a program. Variables are zero until they are Set.
	Compile(Program) (Executable, error)
	Close() error
}

// WholeStepper is an engine that is best at programs of one segment with everything in it: its values never leave the device.
type WholeStepper interface{ WholeStep() bool }

// Joint is an engine of one of several processes whose devices are one program: all compile it and run it at the same time, and each
// feeds, of what devices share, its own part of the rows. What one process computes alone it does by Alone, the engine of its own
// devices, which ends with the joint one and is not closed.
type Joint interface {
	Processes() int
	Alone() Engine
}

// Processes of an engine's programs: 1 for an engine that does not say.
func Processes(e Engine) int {
	if j, ok := e.(Joint); ok {
		return max(1, j.Processes())
	}
	return 1
}

// Alone is the engine of this process's own devices.
func Alone(e Engine) Engine {
	if j, ok := e.(Joint); ok {
		return j.Alone()
	}
	return e
}

// Devices of an engine that share a batch's images, where it has as many for each: 1 for an engine that does not say.
func Devices(e Engine) int {
	if d, ok := e.(interface{ Devices() int }); ok {
		return max(1, d.Devices())
	}
	return 1
}

// Remote is an executable whose values are not in the host's memory.
type Remote interface {
	// Place copies a feed to where the segment runs, also while it runs. What it gives is fed once, or closed.
	Place(segment, feed int, v Tensor) (Tensor, error)
	// Read copies a fetch of Seldom to the host, with a row for each image those of this process's devices: of all, where the engine is
	// no Joint. It is there until the segment's next run.
	Read(v Tensor) (Tensor, error)
}

// Executable is a compiled program with the values of its variables.
type Executable interface {
	// Run runs one segment; feeds and fetches are in the segment's order. Fetched tensors are valid
	// until the next Run of any segment of a step that overwrites them: copy what must live longer.
	Run(segment int, feeds ...Tensor) ([]Tensor, error)
	// Get is a copy of a variable.
	Get(variable string) (Tensor, error)
	// Set copies a value into a variable.
	Set(variable string, v Tensor) error
	Close() error
}

// Passes says whether a segment's guard, if it has one, lets variables take their Nexts.
func (s Segment) Passes(fetched []Tensor) bool {
	if s.Guard == nil {
		return true
	}
	v := float64(fetched[slices.Index(s.Fetches, s.Guard)].Data[0])
	return !math.IsNaN(v) && !math.IsInf(v, 0)
}

// CheckFeeds is an error where feeds do not fit a segment's input nodes.
func CheckFeeds(s Segment, feeds []Tensor) error {
	if len(feeds) != len(s.Feeds) {
		return fmt.Errorf("segment %s takes %d feeds, not %d", s.Name, len(s.Feeds), len(feeds))
	}
	for i, f := range feeds {
		want := s.Feeds[i].Shape()
		if f.Remote != nil && slices.Equal(f.Shape, want) {
			continue
		}
		if len(f.Data) != Size(want) || len(f.Data) != Size(f.Shape) {
			return fmt.Errorf("segment %s: feed %s has shape %v and %d values, not %v", s.Name, s.Feeds[i].Name(), f.Shape, len(f.Data), want)
		}
	}
	return nil
}
