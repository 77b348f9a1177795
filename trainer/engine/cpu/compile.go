package cpu

import (
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// lowering turns a program's segments into steps.
type lowering struct {
	x      *executable
	g      *gorgonia.ExprGraph
	values map[*gorgonia.Node]*value
	users  map[*gorgonia.Node]gorgonia.Nodes // of nodes that are computed
	skip   map[*gorgonia.Node]bool           // computed as part of another node's kernel
	norms  map[*gorgonia.Node]*normGrad      // batch norm's derivatives, by each node of the group
	steps  []step
	// what convolutions need most
	weights, scratch int
}

func compile(e *Engine, p engine.Program) (*executable, error) {
	x := &executable{e: e, p: p, variables: map[string]variable{}, own: map[*value]*buffer{}, convs: map[convKey]unsafe.Pointer{}}
	l := &lowering{x: x, g: p.Graph, values: map[*gorgonia.Node]*value{}, skip: map[*gorgonia.Node]bool{}}
	for _, v := range p.Variables {
		now := &value{shape: shapeOf(v.Node), form: plain, kept: true}
		l.values[v.Node] = now
		x.variables[v.Name] = variable{now: now}
	}
	orders, err := l.analyse()
	if err != nil {
		return x, err
	}
	for i, s := range p.Segments {
		if err := l.segment(s, orders[i]); err != nil {
			return x, fmt.Errorf("segment %s: %w", s.Name, err)
		}
	}
	return x, l.plan()
}

// analyse finds what is computed, who uses it, and what is fused.
func (l *lowering) analyse() ([]gorgonia.Nodes, error) {
	l.users = map[*gorgonia.Node]gorgonia.Nodes{}
	seen := map[*gorgonia.Node]bool{}
	var orders []gorgonia.Nodes
	for _, s := range l.x.p.Segments {
		order, err := engine.Order(l.x.p, s)
		if err != nil {
			return nil, err
		}
		orders = append(orders, order)
		for _, n := range order {
			if seen[n] {
				continue
			}
			seen[n] = true
			for _, d := range engine.Operands(l.g, n) {
				l.users[d] = append(l.users[d], n)
			}
		}
		for _, n := range s.Fetches { // fetching is a use that forbids fusing
			l.users[n] = append(l.users[n], n)
		}
	}
	l.fuse(orders)
	return orders, nil
}

func (l *lowering) segment(s engine.Segment, order gorgonia.Nodes) error {
	x := l.x
	first := len(l.steps)
	var feeds []*value
	for _, n := range s.Feeds {
		v := &value{shape: shapeOf(n), form: plain, kept: true}
		l.values[n] = v
		feeds = append(feeds, v)
	}
	x.feeds = append(x.feeds, feeds)
	for _, n := range order {
		if err := l.node(n); err != nil {
			return err
		}
	}
	var fetches []*value
	for _, n := range s.Fetches {
		v := l.as(l.values[n], plain)
		v.kept = true
		fetches = append(fetches, v)
	}
	for i, v := range fetches {
		if v.last >= first { // else it is of an earlier segment
			l.steps[v.last].early = append(l.steps[v.last].early, i)
		}
	}
	if s.Updates {
		l.updates()
	}
	x.fetches = append(x.fetches, fetches)
	x.segments = append(x.segments, l.steps[first:len(l.steps):len(l.steps)])
	return nil
}

// updates notes which values take a variable's place. A buffer can take one place only, and not that of a
// variable or feed, which are read again: such values are copied.
func (l *lowering) updates() {
	taken := map[*value]bool{}
	for _, vs := range append(slices.Clone(l.x.feeds), l.permanent()) {
		for _, v := range vs {
			taken[v] = true
		}
	}
	for _, v := range l.x.p.Variables {
		if v.Next == nil {
			continue
		}
		next := l.as(l.values[v.Next], plain)
		if taken[next] {
			next = l.copied(next)
		}
		taken[next] = true
		next.kept = true
		pair := variable{now: l.values[v.Node], next: next}
		l.x.swaps = append(l.x.swaps, pair)
	}
}

// copied is a copy of a plain value.
func (l *lowering) copied(v *value) *value {
	y := &value{shape: v.shape, form: v.form}
	l.emit("copy", []*value{v}, []*value{y}, func() error {
		copy(y.floats(), v.floats())
		return nil
	})
	return y
}

// emitInPlace adds a step that may write its first result over an operand of the same form: it reads each
// value before it writes that one.
func (l *lowering) emitInPlace(name string, in, out []*value, run func() error) {
	l.emit(name, in, out, run)
	l.steps[len(l.steps)-1].inPlace = true
}

func (l *lowering) node(n *gorgonia.Node) error {
	if _, done := l.values[n]; done || l.skip[n] {
		return nil
	}
	if n.Op() == nil {
		return fmt.Errorf("input %s is neither fed nor a variable", n.Name())
	}
	if group := l.norms[n]; group != nil {
		return l.normGrad(group)
	}
	nodes := engine.Operands(l.g, n)
	if op.IsSum(n) {
		l.sum(n, nodes)
		return nil
	}
	o, ok := op.Of(n)
	if !ok {
		return fmt.Errorf("no kernel for %v", n.Op())
	}
	if err := l.operator(n, o, nodes); err != nil {
		return fmt.Errorf("%v: %w", o, err)
	}
	return nil
}

// result makes the value of a node.
func (l *lowering) result(n *gorgonia.Node, f form) *value {
	v := &value{shape: shapeOf(n), form: f}
	l.values[n] = v
	return v
}

// emit adds a step.
func (l *lowering) emit(name string, in, out []*value, run func() error) {
	at := len(l.steps)
	for _, v := range append(append([]*value{}, in...), out...) {
		v.last = at
	}
	l.steps = append(l.steps, step{name: name, in: in, out: out, run: run})
}

// plan gives values their buffers: those that are never alive at once share memory.
func (l *lowering) plan() error {
	pool := newBuffers(l.x.allocate)
	for _, v := range l.permanent() {
		if err := pool.take(v, 0); err != nil {
			return err
		}
	}
	for i, s := range l.steps {
		if s.inPlace {
			l.overwrite(s, i)
			pool.reuse(s, i)
		}
		for _, v := range s.out {
			if err := pool.take(v, i); err != nil {
				return err
			}
		}
		for _, v := range append(append([]*value{}, s.in...), s.out...) {
			if v.last == i {
				pool.release(v, i)
			}
		}
	}
	if err := pool.place(); err != nil {
		return err
	}
	return l.allocateScratch()
}

// overwrite lets a variable's next value take the place of the one that only its own step still reads, unless a guard can
// keep that one.
func (l *lowering) overwrite(s step, at int) {
	if slices.ContainsFunc(l.x.p.Segments, func(s engine.Segment) bool { return s.Guard != nil }) {
		return
	}
	y := s.out[0]
	i := slices.IndexFunc(l.x.swaps, func(v variable) bool { return v.next == y })
	if i < 0 || y.buf != nil {
		return
	}
	if now := l.x.swaps[i].now; now.last == at && slices.Contains(s.in, now) {
		y.buf = now.buf
	}
}

// permanent are the variables' values, in a fixed order.
func (l *lowering) permanent() []*value {
	var vs []*value
	for _, name := range slices.Sorted(maps.Keys(l.x.variables)) {
		vs = append(vs, l.x.variables[name].now)
	}
	return vs
}

// allocateScratch of the kernels: of convolutions, and of the channel kernels the sums of every image's
// channels, and vectors of channels.
func (l *lowering) allocateScratch() (err error) {
	sums, channels := 1, 1
	for _, s := range l.steps {
		for _, v := range append(append([]*value{}, s.in...), s.out...) {
			if len(v.shape) >= 2 {
				sums, channels = max(sums, v.shape[0]*v.shape[1]), max(channels, v.shape[1])
			}
		}
	}
	l.x.widest = channels
	for _, b := range []struct {
		to     **buffer
		floats int
	}{{&l.x.sums, 4 * sums}, {&l.x.vectors, vectors * channels}, {&l.x.weights, l.weights}, {&l.x.scratch, l.scratch}} {
		if *b.to, err = l.x.allocate(b.floats); err != nil {
			return err
		}
	}
	return nil
}
