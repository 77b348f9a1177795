package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// maxPool lowers max pooling and its gradient, in the form that x has.
func (l *lowering) maxPool(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	x := l.values[nodes[0]]
	y := l.result(n, x.form)
	switch o := o.(type) {
	case op.MaxPool2D:
		w := pooling(x, o.Size, o.Stride, o.Pad, o.Pad)
		l.emit("max pool", []*value{x}, []*value{y}, func() error {
			C.max_pool(x.layout(), w, x.p(), y.p())
			return nil
		})
	case op.MaxPool2DGrad:
		w := pooling(x, o.Size, o.Stride, o.Pad, o.Pad)
		dy := l.as(l.values[nodes[1]], x.form)
		l.emit("max pool: gradient", []*value{x, dy}, []*value{y}, func() error {
			C.max_pool_grad(x.layout(), w, x.p(), dy.p(), y.p())
			return nil
		})
	}
}

// averagePool lowers average pooling and its gradient, in the form that x or dy has.
func (l *lowering) averagePool(n *gorgonia.Node, o op.Operator, in *value) {
	y := l.result(n, in.form)
	switch o := o.(type) {
	case op.AveragePool2D:
		l.emit("average pool", []*value{in}, []*value{y}, func() error {
			C.average_pool(in.layout(), pooling(in, o.Size, o.Stride, 0, o.After), C.int(flag(o.CountZeros)), in.p(), y.p())
			return nil
		})
	case op.AveragePool2DGrad:
		l.emit("average pool: gradient", []*value{in}, []*value{y}, func() error {
			C.average_pool_grad(y.layout(), pooling(y, o.Size, o.Stride, 0, o.After), C.int(flag(o.CountZeros)), in.p(), y.p())
			return nil
		})
	}
}

// pooling are windows over the images of x.
func pooling(x *value, size, stride, before, after int) C.pooling {
	return C.pooling{
		h: C.int(x.shape[2]), w: C.int(x.shape[3]), size: C.int(size), stride: C.int(stride), before: C.int(before), after: C.int(after),
	}
}
