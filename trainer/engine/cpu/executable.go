package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
)

// form is how a value lies in memory (shim.h): in blocks of channels, 1 being plain row-major; half: as
// bfloat16.
type form struct {
	block int
	half  bool
}

var plain = form{block: 1}

// value is what a node of the graph is at run time.
type value struct {
	shape []int
	form
	buf  *buffer
	last int // index of the last step that reads it
	kept bool
}

func (v *value) size() int         { return engine.Size(v.shape) }
func (v *value) floats() []float32 { return v.buf.floats(v.size()) }
func (v *value) c() *C.float       { return v.buf.c() }
func (v *value) p() unsafe.Pointer { return v.buf.p }
func (v *value) typed() C.int      { return C.int(flag(v.half)) }

// room is the memory a value takes, in floats.
func (v *value) room() int {
	if v.half {
		return (v.size() + 1) / 2
	}
	return v.size()
}

// layout of a value as channels: (N, C, H, W), or (N, C) as one row-major matrix.
func (v *value) layout() C.layout {
	if len(v.shape) == 4 {
		return C.layout{C.int(v.shape[0]), C.int(v.shape[1]), C.int(v.shape[2] * v.shape[3]), C.int(v.block), v.typed()}
	}
	return C.layout{C.int(v.shape[0]), C.int(v.shape[1]), 1, C.int(v.shape[1]), v.typed()}
}

// step is one kernel call.
type step struct {
	name    string
	in, out []*value
	run     func() error
	inPlace bool  // its first result may take the memory of an operand that nothing reads after it
	waits   bool  // for other workers
	early   []int // fetches of its segment that nothing reads or writes after it
}

// variable is a program's variable and the value that replaces it at an update.
type variable struct{ now, next *value }

type executable struct {
	e         *Engine
	p         engine.Program
	segments  [][]step
	fetches   [][]*value
	feeds     [][]*value
	variables map[string]variable
	swaps     []variable
	convs     map[convKey]unsafe.Pointer
	own       map[*value]*buffer // of feeds that are copied
	buffers   []*buffer
	// scratch of convolutions: weights in their kernels' layouts, and what the kernels ask for
	weights, scratch *buffer
	// scratch of the channel kernels
	sums    *buffer // doubles
	vectors *buffer // vectors of channels
	widest  int
}

// Run copies feeds in, runs the segment's steps and gives its fetches, which are the engine's memory.
func (x *executable) Run(segment int, feeds ...engine.Tensor) ([]engine.Tensor, error) {
	s := x.p.Segments[segment]
	if err := engine.CheckFeeds(s, feeds); err != nil {
		return nil, err
	}
	err := x.e.do(func() error {
		for i, v := range x.feeds[segment] {
			if err := x.feed(segment, v, feeds[i].Data); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = x.run(segment)
	}
	if err != nil {
		return nil, x.had(fmt.Errorf("%s: %w", s.Name, err))
	}
	out := make([]engine.Tensor, len(x.fetches[segment]))
	for i, v := range x.fetches[segment] {
		out[i] = engine.Tensor{Shape: v.shape, Data: v.floats()}
	}
	if s.Updates && s.Passes(out) {
		for _, v := range x.swaps {
			v.now.buf, v.next.buf = v.next.buf, v.now.buf
		}
	}
	return out, nil
}

// run runs steps on the engine's thread, but those that wait for other workers, whose kernels may need it, on this one.
func (x *executable) run(segment int) error {
	one := func(s step) error {
		if err := s.run(); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		x.tell(segment, s.early)
		return nil
	}
	steps := x.segments[segment]
	for len(steps) > 0 {
		n := slices.IndexFunc(steps, func(s step) bool { return s.waits })
		if n == 0 {
			if err := one(steps[0]); err != nil {
				return err
			}
			steps = steps[1:]
			continue
		}
		if n < 0 {
			n = len(steps)
		}
		err := x.e.do(func() error {
			for _, s := range steps[:n] {
				if err := one(s); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		steps = steps[n:]
	}
	return nil
}

// tell of fetches that are final.
func (x *executable) tell(segment int, fetches []int) {
	if x.p.Early == nil {
		return
	}
	for _, i := range fetches {
		v := x.fetches[segment][i]
		x.p.Early(segment, i, engine.Tensor{Shape: v.shape, Data: v.floats()})
	}
}

// feed gives a value its data: a copy, or where another segment's fetch is fed (gradients, on their way to the
// update) the memory where it is.
func (x *executable) feed(segment int, v *value, data []float32) (err error) {
	for i, fetched := range x.fetches {
		for _, f := range fetched {
			if i != segment && f.size() == len(data) && f.buf.p == unsafe.Pointer(unsafe.SliceData(data)) {
				v.buf = f.buf
				return nil
			}
		}
	}
	own := x.own[v]
	if own == nil {
		if own, err = x.allocate(v.size()); err != nil {
			return err
		}
		x.own[v] = own
	}
	v.buf = own
	copy(v.floats(), data)
	return nil
}

func (x *executable) Get(name string) (engine.Tensor, error) {
	v, ok := x.variables[name]
	if !ok {
		return engine.Tensor{}, fmt.Errorf("no variable %q", name)
	}
	return engine.Tensor{Shape: v.now.shape, Data: append([]float32{}, v.now.floats()...)}, nil
}

func (x *executable) Set(name string, t engine.Tensor) error {
	v, ok := x.variables[name]
	if !ok {
		return fmt.Errorf("no variable %q", name)
	}
	if len(t.Data) != v.now.size() {
		return fmt.Errorf("variable %s has shape %v, not %v", name, v.now.shape, t.Shape)
	}
	copy(v.now.floats(), t.Data)
	return nil
}

// Close frees the memory; fetched tensors must not be used after.
func (x *executable) Close() error {
	return x.e.do(func() error {
		for _, c := range x.convs {
			C.conv_free(c)
		}
		for _, b := range x.buffers {
			C.free_aligned(b.p)
		}
		x.convs, x.buffers = nil, nil
		return nil
	})
}

// Bytes is the memory of all values and scratch.
func (x *executable) Bytes() int64 {
	n := int64(0)
	for _, b := range x.buffers {
		n += 4 * int64(b.cap)
	}
	return n
}

// had notes in an error of memory how much there was.
func (x *executable) had(err error) error {
	if memory, ok := errors.AsType[*OutOfMemoryError](err); ok {
		memory.Had = x.Bytes()
	}
	return err
}

func (x *executable) allocate(floats int) (*buffer, error) {
	b, err := newBuffer(floats)
	if err == nil {
		x.buffers = append(x.buffers, b)
	}
	return b, err
}

func shapeOf(n *gorgonia.Node) []int { return append([]int{}, n.Shape()...) }
