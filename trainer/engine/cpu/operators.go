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

// operator lowers one operator.
func (l *lowering) operator(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) error {
	if err := engine.CheckWorkers(l.x.p, o); err != nil {
		return err
	}
	switch o := o.(type) {
	case op.Conv2D, op.Conv2DGradInput, op.Conv2DGradWeight:
		return l.conv(n, o, l.values[nodes[0]], l.values[nodes[1]])
	case op.BatchStatistics:
		l.statistics(n, o, l.values[nodes[0]])
	case op.SumOverWorkers:
		l.sumOverWorkers(n, o, l.values[nodes[0]])
	case op.Normalize:
		l.affine(n, n, nil, false)
	case op.ReLU:
		l.relu(n, nodes)
	case op.BatchStatisticsGrad, op.NormalizeGradInput, op.NormalizeGradStatistics, op.NormalizeGradGamma, op.NormalizeGradBeta:
		l.derivative(n, o, nodes)
	case op.Add, op.Softplus, op.SoftplusGrad:
		l.elementwise(n, o, nodes)
	case op.ReLUGrad:
		l.reluGrad(n, nodes)
	case op.GlobalAveragePool, op.GlobalAveragePoolGrad:
		l.pool(n, o, l.values[nodes[0]])
	case op.MaxPool2D, op.MaxPool2DGrad:
		l.maxPool(n, o, nodes)
	case op.AveragePool2D, op.AveragePool2DGrad:
		l.averagePool(n, o, l.values[nodes[0]])
	case op.SumStreams, op.RepeatStreams, op.StreamSoftmax, op.StreamSoftmaxGrad:
		l.streams(n, o, nodes)
	case op.MixStreams, op.MixStreamsGradInput, op.MixStreamsGradWeight:
		l.mix(n, o, nodes)
	case op.Dense, op.DenseGradInput, op.DenseGradWeight, op.AddBias, op.BiasGrad:
		l.dense(n, o, nodes)
	case op.SoftmaxCrossEntropy, op.SoftmaxCrossEntropyGrad:
		l.crossEntropy(n, o, nodes)
	case op.NTXent, op.NTXentGrad, op.ContrastiveAccuracy:
		return l.contrastive(n, o, nodes)
	case op.RunningStatistics, op.LARSVelocity, op.ApplyVelocity, op.NesterovVelocity, op.NesterovUpdate, op.SGDUpdate:
		l.update(n, o, nodes)
	default:
		return fmt.Errorf("no kernel for %T", o)
	}
	return nil
}

// as is a value in another form, by a step of its own where it has not that form.
func (l *lowering) as(v *value, f form) *value {
	if len(v.shape) != 4 || v.form == f {
		return v
	}
	y := &value{shape: v.shape, form: f}
	l.emit("relayout", []*value{v}, []*value{y}, func() error {
		C.relayout(v.layout(), C.int(f.block), y.typed(), v.p(), y.p())
		return nil
	})
	return y
}

func (l *lowering) pool(n *gorgonia.Node, o op.Operator, in *value) {
	if _, forward := o.(op.GlobalAveragePool); forward {
		y := l.result(n, plain)
		l.emit("global average pool", []*value{in}, []*value{y}, func() error {
			C.pool(in.layout(), in.p(), y.c())
			return nil
		})
		return
	}
	dx := l.result(n, l.preferredForm(n.Shape()[1]))
	l.emit("global average pool: gradient", []*value{in}, []*value{dx}, func() error {
		C.pool_grad(dx.layout(), in.c(), dx.p())
		return nil
	})
}

func (l *lowering) dense(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	a := l.values[nodes[0]]
	ins := []*value{a}
	b := a
	if len(nodes) > 1 {
		b = l.values[nodes[1]]
		ins = append(ins, b)
	}
	y := l.result(n, plain)
	m, k := C.long(y.shape[0]), C.long(y.shape[len(y.shape)-1])
	l.emit(fmt.Sprintf("%T", o), ins, []*value{y}, func() error {
		switch o.(type) {
		case op.Dense: // x·wᵀ
			return status(C.gemm(0, 1, m, k, C.long(a.shape[1]), a.c(), b.c(), 0, y.c()))
		case op.DenseGradInput: // dy·w
			return status(C.gemm(0, 0, m, k, C.long(b.shape[1]), b.c(), a.c(), 0, y.c()))
		case op.DenseGradWeight: // dyᵀ·x
			return status(C.gemm(1, 0, m, k, C.long(a.shape[0]), b.c(), a.c(), 0, y.c()))
		case op.AddBias:
			C.add_bias(m, k, a.c(), b.c(), y.c())
		case op.BiasGrad:
			sumRows(a.floats(), y.floats())
		}
		return nil
	})
}

// sumRows adds up the rows of a matrix, in double.
func sumRows(x, y []float32) {
	for k := range y {
		s := 0.
		for i := k; i < len(x); i += len(y) {
			s += float64(x[i])
		}
		y[k] = float32(s)
	}
}
