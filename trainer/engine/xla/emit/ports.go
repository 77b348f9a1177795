package emit

import (
	"errors"
	"slices"

	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types/shapes"
	"github.com/gomlx/go-xla/types/shardy"
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// inputs are the variables that the segment reads, what earlier ones left, and its feeds, in this order. The outputs are
// what becomes of variables, the fetches, and what later segments read; so a variable's memory becomes its next value's.
func (e *emission) inputs(out *Program, l *layout, kept map[*gorgonia.Node]Port) {
	section := l.segments[e.segment]
	alias := map[*gorgonia.Node]int{}
	for i, v := range nexts(e.p, e.segment) {
		alias[v.Node] = i
	}
	names := map[*gorgonia.Node]string{}
	for _, v := range e.p.Variables {
		names[v.Node] = v.Name
	}
	for _, n := range section.variables {
		at, becomes := alias[n]
		if !becomes {
			at = -1
		}
		e.input(out, Port{Kind: Variable, Name: names[n], Node: n, Shape: e.options.OnDevice(n.Shape()), Type: e.exact, Alias: at})
	}
	for _, n := range section.kept {
		port := kept[n]
		port.Alias = -1
		e.input(out, port)
	}
	for _, n := range e.p.Segments[e.segment].Feeds {
		port := Port{Kind: Feed, Name: n.Name(), Node: n, Shape: n.Shape(), Type: e.exact, Alias: -1}
		port.Shared = e.shared(port.Shape, l.images[n])
		kept[n] = port
		e.input(out, port)
	}
}

func (e *emission) input(out *Program, p Port) {
	attributes := map[string]any{}
	if p.Alias >= 0 {
		attributes["tf.aliasing_output"] = int32(p.Alias)
	}
	e.values[p.Node] = must(e.fn.InputWithShardingAndAttributes(shapes.Make(p.Type, p.Shape...), e.sharding(p), attributes))
	e.turned[e.values[p.Node]] = p.Kind == Variable && e.options.Turned(p.Shape)
	out.Inputs = append(out.Inputs, p)
}

func (e *emission) outputs(out *Program, l *layout, kept map[*gorgonia.Node]Port) error {
	var results []value
	var shardings []*shardy.ShardingSpec
	give := func(p Port, v value) {
		p.Alias, p.Type = -1, v.Shape().DType
		results, out.Outputs = append(results, v), append(out.Outputs, p)
		if e.mesh != nil {
			shardings = append(shardings, e.sharding(p))
		}
	}
	s := e.p.Segments[e.segment]
	for _, v := range nexts(e.p, e.segment) {
		give(Port{Kind: Variable, Name: v.Name, Node: v.Node, Shape: e.options.OnDevice(v.Node.Shape())}, e.guarded(s, v))
	}
	for _, n := range s.Fetches {
		p := Port{Kind: Fetch, Node: n, Shape: n.Shape()}
		// that every device had all rows of what is seldom looked at, it would be sent them in every step
		p.Shared = slices.Contains(s.Seldom, n) && e.shared(p.Shape, l.images[n])
		give(p, e.wide(e.plain(e.values[n])))
	}
	for _, n := range l.segments[e.segment].leaves {
		p := Port{Kind: Kept, Node: n, Shape: n.Shape(), Shared: e.shared(n.Shape(), l.images[n])}
		give(p, e.plain(e.values[n]))
		kept[n] = out.Outputs[len(out.Outputs)-1]
	}
	if len(results) == 0 {
		return errors.New("nothing is fetched, kept or updated")
	}
	return e.fn.ReturnWithShardingAndAttributes(results, shardings, nil)
}

// guarded is a variable's next value, where the segment has a guard only if that is finite.
func (e *emission) guarded(s engine.Segment, v engine.Variable) value {
	next := e.wide(e.kernel(e.values[v.Next]))
	if s.Guard == nil {
		return next
	}
	finite := reshape(must(stablehlo.IsFinite(e.wide(e.values[s.Guard]))))
	return choose(spread(finite, dims(next)), next, e.values[v.Node])
}

// known is the gradient of a loss (1) where that is finite, else 0: variables stay as they are then. So on TPUs all that is done behind
// the loss waits for it. Else their compiler sums it over the devices with what the end of the backward pass sums, and whatever waits
// for the guard is held until then: statistics of each layer, a few KiB that lie between activations and split what these leave.
func (e *emission) known(loss func() value, gradient value) value {
	if e.options.Platform != tpu || e.p.Segments[e.segment].Guard == nil {
		return gradient
	}
	return choose(must(stablehlo.IsFinite(loss())), gradient, e.full(0, gradient))
}

// node writes one node of the graph.
func (e *emission) node(n *gorgonia.Node) error {
	operands := engine.Operands(e.p.Graph, n)
	in := make([]value, len(operands))
	for i, d := range operands {
		in[i] = e.values[d]
	}
	if op.IsSum(n) {
		e.values[n] = e.plus(e.plain(in[0]), e.plain(in[1]))
		return nil
	}
	o, _ := op.Of(n)
	f, err := emitterOf(o)
	if err != nil {
		return err
	}
	shape := []int(n.Shape())
	if f.turns {
		shape = e.options.OnDevice(shape)
	}
	v := f.write(e, o, e.operands(f, in), shape)
	kept := e.exact
	if f.activation && len(n.Shape()) == 4 {
		kept = e.activation
	}
	e.values[n] = to(v, kept)
	if f.turns && e.options.Turned(shape) {
		e.turned[e.values[n]] = true
	}
	if _, ok := o.(op.Normalize); ok {
		e.normalized[e.values[n]] = true
	}
	return nil
}
