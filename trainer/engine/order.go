package engine

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
)

// Operands are a node's operands, in order.
func Operands(g *gorgonia.ExprGraph, n *gorgonia.Node) gorgonia.Nodes {
	var in gorgonia.Nodes
	for it := g.From(n.ID()); it.Next(); {
		in = append(in, it.Node().(*gorgonia.Node))
	}
	return in
}

// Order is what a segment's fetches, and the variables' Nexts where it updates, depend on, every node
// after its operands. It is the same for equal programs: gradients are bit-identical from run to run.
func Order(p Program, s Segment) (gorgonia.Nodes, error) {
	var order gorgonia.Nodes
	state := map[*gorgonia.Node]int{} // 1: being visited, 2: done
	var visit func(n *gorgonia.Node) error
	visit = func(n *gorgonia.Node) error {
		switch state[n] {
		case 1:
			return fmt.Errorf("segment %s: the graph has a cycle through %v", s.Name, n)
		case 2:
			return nil
		}
		state[n] = 1
		for _, d := range Operands(p.Graph, n) {
			if err := visit(d); err != nil {
				return err
			}
		}
		state[n] = 2
		order = append(order, n)
		return nil
	}
	roots := append(gorgonia.Nodes{}, s.Fetches...)
	if s.Updates {
		for _, v := range p.Variables {
			if v.Next != nil {
				roots = append(roots, v.Next)
			}
		}
	}
	// the last fetch first: of gradients in the parameters' order that is the last layer's, so that each
	// weight's gradient is taken while what it needs is still in memory
	for _, root := range slices.Backward(roots) {
		if err := visit(root); err != nil {
			return nil, err
		}
	}
	return order, nil
}
