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

// convKey says which primitive computes a convolution; src and dst are layouts as conv_new takes them.
type convKey struct {
	n, c, h, w, o, k, stride, pad, src, dst int
	half                                    bool
	by                                      algorithm
}

func (k *convKey) shape() C.conv_shape {
	c := func(i int) C.int { return C.int(i) }
	return C.conv_shape{c(k.n), c(k.c), c(k.h), c(k.w), c(k.o), c(k.k), c(k.stride), c(k.pad), c(k.src), c(k.dst),
		c(flag(k.half)), c(flag(k.by == winogradOfOneDNN))}
}

func (l *lowering) primitive(k convKey) (unsafe.Pointer, error) {
	if p, ok := l.x.convs[k]; ok {
		return p, nil
	}
	p := C.conv_new(k.shape())
	if p == nil {
		return nil, lastError()
	}
	l.x.convs[k] = p
	return p, nil
}

func preferred(channels int) int { return int(C.preferred_block(C.int(channels))) }

// preferredForm of an activation: blocked, and bfloat16 in a program of that precision.
func (l *lowering) preferredForm(channels int) form {
	return form{block: preferred(channels), half: l.half(channels)}
}

// half says whether an activation is bfloat16: oneDNN's kernels for it have blocks of 16 channels.
func (l *lowering) half(channels int) bool {
	return l.x.p.Precision == engine.BF16 && preferred(channels) == 16
}

// forms gives a convolution the forms of its two activations for which oneDNN has a fast kernel: both
// in blocks of one size, or plain images of at most 3 channels to blocked, or both NHWC. All other pairs, of
// blocks of 8 and of 16 too, fall to its reference loops, which take hundreds of times as long.
func (l *lowering) forms(k *convKey, direction C.int) (src, dst form) {
	k.half = l.half(k.o) && (k.c <= 3 || l.half(k.c))
	switch {
	case k.o%8 != 0 || k.c%8 != 0 && k.c > 3:
		k.src, k.dst = C.NHWC, C.NHWC
		return form{block: k.c}, form{block: k.o}
	case k.c%8 != 0:
		k.src, k.dst = 1, preferred(k.o)
	default:
		k.src = min(preferred(k.c), preferred(k.o))
		k.dst = k.src
	}
	if l.x.e.winograd {
		k.choose(direction)
	}
	return form{k.src, k.half}, form{k.dst, k.half}
}

func (l *lowering) conv(n *gorgonia.Node, o op.Operator, a, b *value) error {
	switch o := o.(type) {
	case op.Conv2D: // x, w
		x, w := a.shape, b.shape
		key := convKey{n: x[0], c: x[1], h: x[2], w: x[3], o: w[0], k: w[2], stride: o.Stride, pad: o.Pad}
		src, dst := l.forms(&key, C.FORWARD)
		a = l.as(a, src)
		y := &value{shape: shapeOf(n), form: dst}
		err := l.pass(C.FORWARD, key, convOperands{in: []*value{a, b}, x: a, w: b, y: y})
		l.values[n] = l.as(y, l.stored(y))
		return err
	case op.Conv2DGradInput: // w, dy
		key := convKey{n: o.N, c: o.C, h: o.H, w: o.W, o: a.shape[0], k: a.shape[2], stride: o.Stride, pad: o.Pad}
		src, dst := l.forms(&key, C.BACKWARD_DATA)
		b = l.as(b, dst)
		dx := &value{shape: shapeOf(n), form: src}
		err := l.pass(C.BACKWARD_DATA, key, convOperands{in: []*value{a, b}, x: dx, w: a, y: b})
		l.values[n] = l.as(dx, l.stored(dx))
		return err
	case op.Conv2DGradWeight: // x, dy
		x := a.shape
		key := convKey{n: x[0], c: x[1], h: x[2], w: x[3], o: o.O, k: o.K, stride: o.Stride, pad: o.Pad}
		src, dst := l.forms(&key, C.BACKWARD_WEIGHTS)
		a, b = l.as(a, src), l.as(b, dst)
		return l.pass(C.BACKWARD_WEIGHTS, key, convOperands{in: []*value{a, b}, x: a, w: l.result(n, plain), y: b})
	}
	return fmt.Errorf("no convolution %T", o)
}

// stored is the form in which a convolution's result is kept: of the program's precision, whatever that of the
// kernel was.
func (l *lowering) stored(v *value) form {
	return form{v.block, v.block == 16 && l.half(v.shape[1])}
}

// convOperands are what a pass reads (in) and all three of its operands.
type convOperands struct {
	in      []*value
	x, w, y *value
}

var directions = map[C.int]string{
	C.FORWARD: "convolution", C.BACKWARD_DATA: "convolution: gradient by x", C.BACKWARD_WEIGHTS: "convolution: gradient by w",
}

// pass lowers one direction of a convolution.
func (l *lowering) pass(direction C.int, key convKey, v convOperands) error {
	if key.by == winograd {
		l.winograd(direction, key.shape(), v)
		return nil
	}
	if key.by == winogradWide {
		l.winogradWide(direction, key.shape(), v)
		return nil
	}
	p, err := l.primitive(key)
	if err != nil {
		return err
	}
	var weights, scratch C.long
	if err := status(C.conv_prepare(p, direction, &weights, &scratch)); err != nil {
		return err
	}
	l.room(weights, scratch)
	x := l.x
	l.emit(directions[direction], v.in, []*value{v.out(direction)}, func() error {
		w, dw := v.weights(direction)
		return status(C.conv_run(p, direction, v.x.p(), w, v.y.p(), dw, x.weights.p, x.scratch.p))
	})
	return nil
}

// room is memory that a convolution needs besides its operands, in bytes.
func (l *lowering) room(weights, scratch C.long) {
	l.weights, l.scratch = max(l.weights, int(weights)/4+1), max(l.scratch, int(scratch)/4+1)
}

func (v *convOperands) out(direction C.int) *value {
	return map[C.int]*value{C.FORWARD: v.y, C.BACKWARD_DATA: v.x, C.BACKWARD_WEIGHTS: v.w}[direction]
}

// weights that are read, or written.
func (v *convOperands) weights(direction C.int) (w, dw *C.float) {
	if direction == C.BACKWARD_WEIGHTS {
		return nil, v.w.c()
	}
	return v.w.c(), nil
}
