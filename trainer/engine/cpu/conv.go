package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// convKey says which primitive computes a convolution; src and dst are layouts as conv_new takes them.
type convKey struct{ n, c, h, w, o, k, stride, pad, src, dst int }

func (l *lowering) primitive(k convKey) (unsafe.Pointer, error) {
	if p, ok := l.x.convs[k]; ok {
		return p, nil
	}
	c := func(i int) C.int { return C.int(i) }
	p := C.conv_new(c(k.n), c(k.c), c(k.h), c(k.w), c(k.o), c(k.k), c(k.stride), c(k.pad), c(k.src), c(k.dst))
	if p == nil {
		return nil, lastError()
	}
	l.x.convs[k] = p
	return p, nil
}

func preferred(channels int) int { return int(C.preferred_block(C.int(channels))) }

// layouts gives a convolution the blocks of its two activations for which oneDNN has a fast kernel: both
// in blocks of one size, or plain images of at most 3 channels to blocked, or both NHWC. All other pairs, of
// blocks of 8 and of 16 too, fall to its reference loops, which take hundreds of times as long.
func (k *convKey) layouts() (src, dst int) {
	switch {
	case k.o%8 != 0 || k.c%8 != 0 && k.c > 3:
		k.src, k.dst = C.NHWC, C.NHWC
		return k.c, k.o
	case k.c%8 != 0:
		src, dst = 1, preferred(k.o)
	default:
		src = min(preferred(k.c), preferred(k.o))
		dst = src
	}
	k.src, k.dst = src, dst
	return src, dst
}

func (l *lowering) conv(n *gorgonia.Node, o op.Operator, a, b *value) error {
	switch o := o.(type) {
	case op.Conv2D: // x, w
		x, w := a.shape, b.shape
		key := convKey{n: x[0], c: x[1], h: x[2], w: x[3], o: w[0], k: w[2], stride: o.Stride, pad: o.Pad}
		src, dst := key.layouts()
		a = l.as(a, src)
		y := l.result(n, dst)
		p, err := l.primitive(key)
		l.emit("convolution", []*value{a, b}, []*value{y}, func() error { return status(C.conv_forward(p, a.c(), b.c(), y.c())) })
		return err
	case op.Conv2DGradInput: // w, dy
		key := convKey{n: o.N, c: o.C, h: o.H, w: o.W, o: a.shape[0], k: a.shape[2], stride: o.Stride, pad: o.Pad}
		src, dst := key.layouts()
		b = l.as(b, dst)
		dx := l.result(n, src)
		p, err := l.primitive(key)
		l.emit("convolution: gradient by x", []*value{a, b}, []*value{dx}, func() error { return status(C.conv_backward_data(p, a.c(), b.c(), dx.c())) })
		return err
	case op.Conv2DGradWeight: // x, dy
		x := a.shape
		key := convKey{n: x[0], c: x[1], h: x[2], w: x[3], o: o.O, k: o.K, stride: o.Stride, pad: o.Pad}
		src, dst := key.layouts()
		a, b = l.as(a, src), l.as(b, dst)
		dw := l.result(n, 1)
		p, err := l.primitive(key)
		l.emit("convolution: gradient by w", []*value{a, b}, []*value{dw}, func() error { return status(C.conv_backward_weights(p, a.c(), b.c(), dw.c())) })
		return err
	}
	return fmt.Errorf("no convolution %T", o)
}
