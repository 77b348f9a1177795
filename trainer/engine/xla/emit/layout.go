package emit

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// layout says what each segment computes, and what passes from one to a later one.
type layout struct {
	segments []section
	images   map[*gorgonia.Node]bool // those whose first axis are images
}

// section is what a segment reads, computes and leaves behind.
type section struct {
	variables gorgonia.Nodes // that it reads
	kept      gorgonia.Nodes // feeds and results of earlier segments that it reads
	compute   gorgonia.Nodes // in order
	leaves    gorgonia.Nodes // results of its own that later segments read
}

func lay(p engine.Program) (*layout, error) {
	l := &layout{images: map[*gorgonia.Node]bool{}}
	variable, made := map[*gorgonia.Node]bool{}, map[*gorgonia.Node]int{}
	for _, v := range p.Variables {
		variable[v.Node] = true
	}
	for i, s := range p.Segments {
		order, err := engine.Order(p, s)
		if err != nil {
			return nil, err
		}
		for _, n := range s.Images {
			l.images[n] = true
		}
		for _, n := range s.Feeds {
			made[n] = i
		}
		var own section
		for _, n := range order {
			if _, done := made[n]; done || variable[n] {
				continue
			}
			if err := l.known(p.Graph, n); err != nil {
				return nil, fmt.Errorf("segment %s: %w", s.Name, err)
			}
			made[n] = i
			own.compute = append(own.compute, n)
		}
		l.segments = append(l.segments, own)
		l.read(p, i, variable, made)
	}
	return l, nil
}

// known notes whether a node's result has a row for each image; it is an error where there is no emitter.
func (l *layout) known(g *gorgonia.ExprGraph, n *gorgonia.Node) error {
	if n.Op() == nil {
		return fmt.Errorf("input %s is neither fed nor a variable", n.Name())
	}
	if op.IsSum(n) {
		l.images[n] = l.images[engine.Operands(g, n)[0]]
		return nil
	}
	o, ok := op.Of(n)
	if !ok {
		return fmt.Errorf("no emitter for %v", n.Op())
	}
	e, err := emitterOf(o)
	l.images[n] = e.rows
	return err
}

// read notes what a segment reads of variables and of earlier segments.
func (l *layout) read(p engine.Program, segment int, variable map[*gorgonia.Node]bool, made map[*gorgonia.Node]int) {
	s := &l.segments[segment]
	seen := map[*gorgonia.Node]bool{}
	read := func(n *gorgonia.Node) {
		from, computed := made[n]
		if seen[n] || !variable[n] && computed && from == segment {
			return
		}
		seen[n] = true
		if variable[n] {
			s.variables = append(s.variables, n)
			return
		}
		s.kept = append(s.kept, n)
		if earlier := &l.segments[from]; slices.Contains(earlier.compute, n) && !slices.Contains(earlier.leaves, n) {
			earlier.leaves = append(earlier.leaves, n)
		}
	}
	for _, n := range s.compute {
		for _, d := range engine.Operands(p.Graph, n) {
			read(d)
		}
	}
	for _, n := range p.Segments[segment].Fetches {
		read(n)
	}
	for _, v := range nexts(p, segment) {
		read(v.Node) // its memory is given to what it becomes
		read(v.Next)
	}
}
