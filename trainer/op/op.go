// Package op has the operators that the graphs of a training step are made of.
//
// Every operator is a pure function of its operands with a symbolic derivative, which is again made
// of these operators; it holds no state and no kernel. Executors (trainer/engine) give operators
// their meaning in numbers. Values are float32 in logical layouts: activations (N, C, H, W) or (N, D),
// convolution weights (O, C, k, k), dense weights (out, in), scalars (1).
package op

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Operator is a comparable value: its type says which function it is, its fields are the attributes.
type Operator interface {
	// Shape of the result for the operands' shapes, or an error that names what does not fit.
	Shape(operands ...tensor.Shape) (tensor.Shape, error)
	// Operands is how many there are.
	Operands() int
}

// differentiable is an Operator with a derivative.
type differentiable interface {
	// Gradients of the loss by each operand, given the one by the result (dy). nil where there is none
	// (class ids).
	Gradients(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error)
}

// node carries an Operator as gorgonia's Op and SDOp. Operand and result ranks are fixed when it is
// applied, as gorgonia's type inference wants.
type node struct {
	Operator
	in  []int
	out int
}

var _ gorgonia.SDOp = &node{}

// Of is the operator that made a graph's node; ok is false for inputs and for gorgonia's own operators.
func Of(n *gorgonia.Node) (Operator, bool) {
	o, ok := n.Op().(*node)
	if !ok {
		return nil, false
	}
	return o.Operator, true
}

// IsSum says whether a node is gorgonia's own addition, with which Backpropagate adds up the gradients
// of a value that is used more than once.
func IsSum(n *gorgonia.Node) bool {
	if n.Op() == nil {
		return false
	}
	if _, ours := n.Op().(*node); ours {
		return false
	}
	s := n.Op().String()
	return len(s) > 0 && s[0] == '+'
}

// Apply adds an operator to its operands' graph.
func Apply(o Operator, in ...*gorgonia.Node) (*gorgonia.Node, error) {
	if len(in) != o.Operands() {
		return nil, fmt.Errorf("%T takes %d operands, not %d", o, o.Operands(), len(in))
	}
	shapes := make([]tensor.Shape, len(in))
	ranks := make([]int, len(in))
	for i, n := range in {
		shapes[i], ranks[i] = n.Shape(), len(n.Shape())
	}
	s, err := o.Shape(shapes...)
	if err != nil {
		return nil, fmt.Errorf("%T of %v: %w", o, shapes, err)
	}
	return gorgonia.ApplyOp(&node{Operator: o, in: ranks, out: len(s)}, in...)
}

func (o *node) Arity() int { return len(o.in) }

func (o *node) Type() hm.Type {
	ts := make([]hm.Type, 0, len(o.in)+1)
	for _, r := range append(append([]int{}, o.in...), o.out) {
		ts = append(ts, gorgonia.TensorType{Dims: r, Of: tensor.Float32})
	}
	return hm.NewFnType(ts...)
}

func (o *node) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	shapes := make([]tensor.Shape, len(in))
	for i, d := range in {
		s, ok := d.(tensor.Shape)
		if !ok {
			return nil, fmt.Errorf("%v: operand %d has no shape", o, i)
		}
		shapes[i] = s
	}
	return o.Shape(shapes...)
}

func (o *node) Do(...gorgonia.Value) (gorgonia.Value, error) {
	return nil, fmt.Errorf("%v: executors run operators, not gorgonia's machines", o)
}

func (o *node) ReturnsPtr() bool      { return false }
func (o *node) CallsExtern() bool     { return false }
func (o *node) OverwritesInput() int  { return -1 }
func (o *node) WriteHash(h hash.Hash) { fmt.Fprintf(h, "%T%+v", o.Operator, o.Operator) }
func (o *node) String() string        { return fmt.Sprintf("%T%+v", o.Operator, o.Operator)[len("op."):] }

func (o *node) Hashcode() uint32 {
	h := fnv.New32a()
	o.WriteHash(h)
	return h.Sum32()
}

func (o *node) DiffWRT(n int) []bool {
	_, ok := o.Operator.(differentiable)
	d := make([]bool, n)
	for i := range d {
		d[i] = ok
	}
	if _, labels := o.Operator.(SoftmaxCrossEntropy); labels {
		d[1] = false // class ids
	}
	return d
}

func (o *node) SymDiff(in gorgonia.Nodes, out, dy *gorgonia.Node) (gorgonia.Nodes, error) {
	d, ok := o.Operator.(differentiable)
	if !ok {
		return nil, fmt.Errorf("%v has no derivative", o)
	}
	return d.Gradients(in, out, dy)
}

// gradients applies one operator for each operand.
func gradients(applied ...func() (*gorgonia.Node, error)) (gorgonia.Nodes, error) {
	ns := make(gorgonia.Nodes, len(applied))
	for i, f := range applied {
		var err error
		if ns[i], err = f(); err != nil {
			return nil, err
		}
	}
	return ns, nil
}

// by defers an Apply, for gradients.
func by(o Operator, in ...*gorgonia.Node) func() (*gorgonia.Node, error) {
	return func() (*gorgonia.Node, error) { return Apply(o, in...) }
}

// ranks is an error where operands have other ranks than wanted.
func ranks(in []tensor.Shape, want ...int) error {
	for i, s := range in {
		if want[i] >= 0 && len(s) != want[i] {
			return fmt.Errorf("operand %d has rank %d, not %d", i, len(s), want[i])
		}
	}
	return nil
}

// sameShape is an error where operands i and j differ.
func sameShape(in []tensor.Shape, i, j int) error {
	if !in[i].Eq(in[j]) {
		return fmt.Errorf("operands %d and %d differ in shape: %v and %v", i, j, in[i], in[j])
	}
	return nil
}
