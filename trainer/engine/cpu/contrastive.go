package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// anchors whose similarities are held at once.
const anchors = 128

// similarities is what is made of one z at once: NT-Xent, its gradient and the contrastive accuracy.
type similarities struct {
	temperature          float64
	loss, accuracy, grad *value // nil: not wanted
}

// contrastive lowers NT-Xent, its gradient and the contrastive accuracy: memory is linear in the rows. With the
// gradient comes what else is wanted of the same z.
func (l *lowering) contrastive(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) error {
	s := similarities{temperature: 1}
	switch o := o.(type) {
	case op.NTXent:
		s.temperature, s.loss = o.Temperature, l.result(n, plain)
	case op.ContrastiveAccuracy:
		s.accuracy = l.result(n, plain)
	case op.NTXentGrad:
		s.temperature, s.grad = o.Temperature, l.result(n, plain)
		for _, user := range l.users[nodes[0]] {
			if l.values[user] != nil {
				continue
			}
			if loss, ok := is[op.NTXent](user); ok && loss.Temperature == o.Temperature {
				s.loss = l.result(user, plain)
			}
			if _, ok := is[op.ContrastiveAccuracy](user); ok {
				s.accuracy = l.result(user, plain)
			}
		}
	}
	in := make([]*value, len(nodes))
	for i, d := range nodes {
		in[i] = l.values[d]
	}
	return l.similar(s, in)
}

// similar emits the kernel: of z, and of the loss's gradient where the gradient by z is wanted.
func (l *lowering) similar(s similarities, in []*value) error {
	z := in[0]
	u, err := l.x.allocate(z.size())
	if err != nil {
		return err
	}
	block, err := l.x.allocate(anchors * z.shape[0])
	if err != nil {
		return err
	}
	var outs []*value
	for _, v := range []*value{s.loss, s.accuracy, s.grad} {
		if v != nil {
			outs = append(outs, v)
		}
	}
	rows, d := C.long(z.shape[0]), C.long(z.shape[1])
	l.emit("NT-Xent", in, outs, func() error {
		var loss, accuracy C.double
		var dloss C.float
		var dz *C.float
		if s.grad != nil {
			dloss, dz = C.float(in[1].floats()[0]), s.grad.c()
		}
		err := status(C.ntxent(rows, d, C.float(s.temperature), z.c(), u.c(), anchors, block.c(), &loss, &accuracy, dloss, dz))
		if s.loss != nil {
			s.loss.floats()[0] = float32(loss)
		}
		if s.accuracy != nil {
			s.accuracy.floats()[0] = float32(accuracy)
		}
		return err
	})
	return nil
}
