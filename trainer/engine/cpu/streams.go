package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// streams lowers the operators on two streams that have one value a channel.
func (l *lowering) streams(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	ins := make([]*value, len(nodes))
	for i, d := range nodes {
		ins[i] = l.values[d]
	}
	x, y := ins[0], l.result(n, plain)
	images, channels := C.long(y.shape[0]), C.long(min(x.shape[1], y.shape[1]))
	l.emit(fmt.Sprintf("%T", o), ins, []*value{y}, func() error {
		switch o.(type) {
		case op.SumStreams:
			C.sum_streams(images, channels, x.c(), y.c())
		case op.RepeatStreams:
			C.repeat_streams(images, channels, x.c(), y.c())
		case op.StreamSoftmax:
			C.stream_softmax(images, channels/2, x.c(), y.c())
		case op.StreamSoftmaxGrad:
			C.stream_softmax_grad(images, channels/2, x.c(), ins[1].c(), y.c())
		}
		return nil
	})
}

// mix lowers the mixing of two streams and its gradients.
func (l *lowering) mix(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	a, b := l.values[nodes[0]], l.values[nodes[1]]
	switch o.(type) {
	case op.MixStreams: // x, a
		x := l.as(a, streamForm(a.form, a.shape[1]/2))
		y := l.result(n, x.form)
		l.emit("mix streams", []*value{x, b}, []*value{y}, func() error {
			C.mix_streams(y.layout(), x.p(), b.c(), y.p())
			return nil
		})
	case op.MixStreamsGradInput: // a, dy
		l.mixGrad(n, a, b, nil)
	case op.MixStreamsGradWeight: // x, dy
		x := l.as(a, streamForm(a.form, b.shape[1]))
		dy, da := l.as(b, x.form), l.result(n, plain)
		l.emit("mix streams: gradient by weights", []*value{x, dy}, []*value{da}, func() error {
			C.mix_streams_grad_weight(dy.layout(), x.p(), dy.p(), da.c())
			return nil
		})
	}
}

// mixGrad lowers a MixStreams' gradient by its streams; pooled is the gradient by their global average, which is added
// in the same pass, or nil.
func (l *lowering) mixGrad(n *gorgonia.Node, a, dy, pooled *value) {
	dy = l.as(dy, streamForm(dy.form, dy.shape[1]))
	dx := l.result(n, dy.form)
	ins := []*value{a, dy}
	if pooled != nil {
		ins = append(ins, pooled)
	}
	l.emit("mix streams: gradient", ins, []*value{dx}, func() error {
		var more *C.float
		if pooled != nil {
			more = pooled.c()
		}
		C.mix_streams_grad_input(dy.layout(), a.c(), more, dy.p(), dx.p())
		return nil
	})
}

// mixAndPool are the operators behind the sum of the two gradients by a selective kernel's streams, which are mixed and
// averaged; ok is false for any other sum.
func (l *lowering) mixAndPool(sum *gorgonia.Node) (mix, pool *gorgonia.Node, ok bool) {
	in := engine.Operands(l.g, sum)
	for _, pair := range [][2]*gorgonia.Node{{in[0], in[1]}, {in[1], in[0]}} {
		_, mixes := is[op.MixStreamsGradInput](pair[0])
		_, pools := is[op.GlobalAveragePoolGrad](pair[1])
		if mixes && pools && len(l.users[pair[0]]) == 1 && len(l.users[pair[1]]) == 1 {
			return pair[0], pair[1], true
		}
	}
	return nil, nil, false
}

// fuseMixGrad makes that sum one pass.
func (l *lowering) fuseMixGrad(sum *gorgonia.Node) {
	if mix, pool, ok := l.mixAndPool(sum); ok {
		l.skip[mix], l.skip[pool] = true, true
	}
}

// sum lowers the addition of two gradients.
func (l *lowering) sum(n *gorgonia.Node, nodes gorgonia.Nodes) {
	mix, pool, ok := l.mixAndPool(n)
	if !ok {
		l.elementwise(n, op.Add{}, nodes)
		return
	}
	in := engine.Operands(l.g, mix)
	l.mixGrad(n, l.values[in[0]], l.values[in[1]], l.values[engine.Operands(l.g, pool)[0]])
}

// streamForm is a form in which the blocks of a stream's channels are its own.
func streamForm(f form, channels int) form {
	if channels%f.block != 0 {
		return plain
	}
	return f
}
