package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// elementwise lowers a sum or an activation.
func (l *lowering) elementwise(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	f := l.values[nodes[0]].form
	switch o.(type) {
	case op.Softplus, op.SoftplusGrad: // only in tests
		f.half = false
	}
	ins := make([]*value, len(nodes))
	for i, d := range nodes {
		ins[i] = l.as(l.values[d], f)
	}
	a, b := ins[0], ins[len(ins)-1]
	y := l.result(n, f)
	count := C.long(y.size())
	l.emitInPlace(fmt.Sprintf("%T", o), ins, []*value{y}, func() error {
		switch o.(type) {
		case op.Add:
			C.add(count, y.typed(), a.p(), b.p(), y.p())
		case op.ReLU:
			C.relu(count, y.typed(), a.p(), y.p())
		case op.Softplus:
			C.softplus(count, a.c(), y.c())
		case op.SoftplusGrad:
			C.softplus_grad(count, a.c(), b.c(), y.c())
		}
		return nil
	})
}

// relu lowers ReLU with what is fused into it.
func (l *lowering) relu(n *gorgonia.Node, nodes gorgonia.Nodes) {
	in := nodes[0]
	if !l.skip[in] {
		l.elementwise(n, op.ReLU{}, nodes)
		return
	}
	if _, ok := is[op.Normalize](in); ok {
		l.affine(n, in, nil, true)
		return
	}
	sum := engine.Operands(l.g, in)
	l.affine(n, sum[0], l.values[sum[1]], true)
}

// reluGrad lowers ReLU's derivative, of the ReLU's result and a gradient, or of a sum of two that is used
// nowhere else.
func (l *lowering) reluGrad(n *gorgonia.Node, nodes gorgonia.Nodes) {
	y := l.values[nodes[0]]
	gradients := gorgonia.Nodes{nodes[1]}
	if l.skip[nodes[1]] {
		gradients = engine.Operands(l.g, nodes[1])
	}
	var ins []*value
	for _, g := range gradients {
		ins = append(ins, l.as(l.values[g], y.form))
	}
	ins = append(ins, y)
	dx := l.result(n, y.form)
	l.emitInPlace("ReLU: gradient", ins, []*value{dx}, func() error {
		var more unsafe.Pointer
		if len(gradients) > 1 {
			more = ins[1].p()
		}
		C.relu_grad(C.long(dx.size()), dx.typed(), y.p(), ins[0].p(), more, dx.p())
		return nil
	})
}
