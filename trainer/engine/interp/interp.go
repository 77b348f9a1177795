// Package interp executes graphs in float64, naively and on one thread: the reference of the tests of
// every other executor. It sees operators' attributes and operands' values alone; if it can run a
// graph, any executor can.
package interp

import (
	"fmt"
	"maps"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// Array is a float64 value, row-major.
type Array struct {
	Shape []int
	V     []float64
}

// Zeros is an array of zeros.
func Zeros(shape ...int) Array { return Array{shape, make([]float64, engine.Size(shape))} }

// Engine compiles programs for interpretation.
type Engine struct{}

// Name is "interp".
func (Engine) Name() string { return "interp" }

// Close does nothing.
func (Engine) Close() error { return nil }

// Compile checks that every operator is known.
func (Engine) Compile(p engine.Program) (engine.Executable, error) { return New(p) }

// Executable is a program that is interpreted.
type Executable struct {
	p        engine.Program
	segments [][]*gorgonia.Node // what each segment needs, in dependency order
	vars     map[string]*gorgonia.Node
	value    map[*gorgonia.Node]Array // of the current step: feeds and results
	made     map[*gorgonia.Node]int   // the segment that a value comes from
	variable map[*gorgonia.Node]Array
}

// New compiles a program; the concrete type gives tests float64 access to its values.
func New(p engine.Program) (*Executable, error) {
	e := &Executable{p: p, vars: map[string]*gorgonia.Node{}, value: map[*gorgonia.Node]Array{}, made: map[*gorgonia.Node]int{}, variable: map[*gorgonia.Node]Array{}}
	for _, v := range p.Variables {
		e.vars[v.Name], e.variable[v.Node] = v.Node, Zeros(v.Node.Shape()...)
	}
	for _, s := range p.Segments {
		order, err := engine.Order(p, s)
		if err != nil {
			return nil, err
		}
		for _, n := range order {
			if err := known(p, n); err != nil {
				return nil, fmt.Errorf("segment %s: %w", s.Name, err)
			}
		}
		e.segments = append(e.segments, order)
	}
	return e, nil
}

func known(p engine.Program, n *gorgonia.Node) error {
	if n.Op() == nil || op.IsSum(n) {
		return nil
	}
	o, ok := op.Of(n)
	if !ok {
		return fmt.Errorf("interp: no meaning for %v", n.Op())
	}
	if op.OverWorkers(o) > 1 {
		return engine.CheckWorkers(p, o)
	}
	_, err := evaluatorOf(o)
	return err
}

// Run runs one segment.
func (e *Executable) Run(segment int, feeds ...engine.Tensor) ([]engine.Tensor, error) {
	s := e.p.Segments[segment]
	if err := engine.CheckFeeds(s, feeds); err != nil {
		return nil, err
	}
	wide := make([]Array, len(feeds))
	for i, f := range feeds {
		wide[i] = widen(f)
	}
	out, err := e.Run64(segment, wide...)
	if err != nil {
		return nil, err
	}
	return narrowed(out), nil
}

func narrowed(out []Array) []engine.Tensor {
	ts := make([]engine.Tensor, len(out))
	for i, a := range out {
		ts[i] = narrow(a)
	}
	return ts
}

// Run64 is Run without rounding to float32 anywhere.
func (e *Executable) Run64(segment int, feeds ...Array) ([]Array, error) {
	s := e.p.Segments[segment]
	e.forget(segment)
	for i, n := range s.Feeds {
		e.value[n], e.made[n] = feeds[i], segment
	}
	for _, n := range e.segments[segment] {
		if err := e.evaluate(n, segment); err != nil {
			return nil, fmt.Errorf("segment %s: %w", s.Name, err)
		}
	}
	out := make([]Array, len(s.Fetches))
	for i, n := range s.Fetches {
		out[i] = e.at(n)
	}
	if s.Updates && s.Passes(narrowed(out)) {
		next := map[*gorgonia.Node]Array{}
		for _, v := range e.p.Variables {
			if v.Next != nil {
				next[v.Node] = e.at(v.Next)
			}
		}
		maps.Copy(e.variable, next)
	}
	return out, nil
}

func (e *Executable) at(n *gorgonia.Node) Array {
	if v, ok := e.variable[n]; ok {
		return v
	}
	return e.value[n]
}

// forget drops what a segment that runs again, and those after it, made before.
func (e *Executable) forget(segment int) {
	for n, made := range e.made {
		if made >= segment {
			delete(e.value, n)
			delete(e.made, n)
		}
	}
}

func (e *Executable) evaluate(n *gorgonia.Node, segment int) error {
	if _, done := e.value[n]; done {
		return nil
	}
	if _, kept := e.variable[n]; kept {
		return nil
	}
	if n.Op() == nil {
		return fmt.Errorf("input %s was not fed", n.Name())
	}
	e.made[n] = segment
	nodes := engine.Operands(e.p.Graph, n)
	in := make([]Array, len(nodes))
	for i, d := range nodes {
		in[i] = e.at(d)
	}
	if op.IsSum(n) {
		e.value[n] = add(in[0], in[1])
		return nil
	}
	o, _ := op.Of(n)
	if op.OverWorkers(o) > 1 {
		var err error
		e.value[n], err = overWorkers(o, e.p.Workers, in[0])
		return err
	}
	f, err := evaluatorOf(o)
	if err != nil {
		return err
	}
	e.value[n] = f(Zeros(n.Shape()...), in)
	return nil
}

// Get is a copy of a variable, rounded to float32.
func (e *Executable) Get(name string) (engine.Tensor, error) {
	n, ok := e.vars[name]
	if !ok {
		return engine.Tensor{}, fmt.Errorf("no variable %q", name)
	}
	return narrow(e.variable[n]), nil
}

// Set copies a value into a variable.
func (e *Executable) Set(name string, v engine.Tensor) error {
	n, ok := e.vars[name]
	if !ok {
		return fmt.Errorf("no variable %q", name)
	}
	if len(v.Data) != engine.Size(n.Shape()) {
		return fmt.Errorf("variable %s has shape %v, not %v", name, n.Shape(), v.Shape)
	}
	e.variable[n] = widen(engine.Tensor{Shape: n.Shape(), Data: v.Data})
	return nil
}

// Variable is a variable's own float64 values, for tests that perturb them.
func (e *Executable) Variable(name string) []float64 { return e.variable[e.vars[name]].V }

// Close does nothing.
func (e *Executable) Close() error { return nil }

func widen(t engine.Tensor) Array {
	a := Zeros(t.Shape...)
	for i, v := range t.Data {
		a.V[i] = float64(v)
	}
	return a
}

func narrow(a Array) engine.Tensor {
	t := engine.NewTensor(a.Shape...)
	for i, v := range a.V {
		t.Data[i] = float32(v)
	}
	return t
}
