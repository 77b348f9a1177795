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
	half, winograd                          bool
}

func (l *lowering) primitive(k convKey) (unsafe.Pointer, error) {
	if p, ok := l.x.convs[k]; ok {
		return p, nil
	}
	c := func(i int) C.int { return C.int(i) }
	p := C.conv_new(C.conv_shape{c(k.n), c(k.c), c(k.h), c(k.w), c(k.o), c(k.k), c(k.stride), c(k.pad), c(k.src), c(k.dst),
		c(flag(k.half)), c(flag(k.winograd))})
	if p == nil {
		return nil, lastError()
	}
	l.x.convs[k] = p
	return p, nil
}

// fewest channels for which each direction's Winograd algorithm is faster than the direct one; measured, see
// docs/performance.md.
var fewest = map[C.int]int{C.FORWARD: 32, C.BACKWARD_DATA: 32, C.BACKWARD_WEIGHTS: 64}

// faster says whether Winograd's algorithm (Lavin and Gray 2016, arXiv 1509.09308: F(4×4, 3×3), which multiplies
// a quarter as often) applies and is faster than the direct one.
func (k *convKey) faster(direction C.int) bool {
	return !k.half && k.k == 3 && k.stride == 1 && k.src == 16 && k.dst == 16 && min(k.c, k.o) >= fewest[direction]
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
func (l *lowering) forms(k *convKey) (src, dst form) {
	k.half = l.half(k.o) && (k.c <= 3 || l.half(k.c))
	src.half, dst.half = k.half, k.half
	switch {
	case k.o%8 != 0 || k.c%8 != 0 && k.c > 3:
		k.src, k.dst = C.NHWC, C.NHWC
		src.block, dst.block = k.c, k.o
		return src, dst
	case k.c%8 != 0:
		src.block, dst.block = 1, preferred(k.o)
	default:
		src.block = min(preferred(k.c), preferred(k.o))
		dst.block = src.block
	}
	k.src, k.dst = src.block, dst.block
	return src, dst
}

func (l *lowering) conv(n *gorgonia.Node, o op.Operator, a, b *value) error {
	switch o := o.(type) {
	case op.Conv2D: // x, w
		x, w := a.shape, b.shape
		key := convKey{n: x[0], c: x[1], h: x[2], w: x[3], o: w[0], k: w[2], stride: o.Stride, pad: o.Pad}
		src, dst := l.forms(&key)
		a = l.as(a, src)
		return l.pass(C.FORWARD, "convolution", key, convOperands{in: []*value{a, b}, x: a, w: b, y: l.result(n, dst)})
	case op.Conv2DGradInput: // w, dy
		key := convKey{n: o.N, c: o.C, h: o.H, w: o.W, o: a.shape[0], k: a.shape[2], stride: o.Stride, pad: o.Pad}
		src, dst := l.forms(&key)
		b = l.as(b, dst)
		return l.pass(C.BACKWARD_DATA, "convolution: gradient by x", key, convOperands{in: []*value{a, b}, x: l.result(n, src), w: a, y: b})
	case op.Conv2DGradWeight: // x, dy
		x := a.shape
		key := convKey{n: x[0], c: x[1], h: x[2], w: x[3], o: o.O, k: o.K, stride: o.Stride, pad: o.Pad}
		src, dst := l.forms(&key)
		a, b = l.as(a, src), l.as(b, dst)
		return l.pass(C.BACKWARD_WEIGHTS, "convolution: gradient by w", key, convOperands{in: []*value{a, b}, x: a, w: l.result(n, plain), y: b})
	}
	return fmt.Errorf("no convolution %T", o)
}

// convOperands are what a pass reads (in) and all three of its operands.
type convOperands struct {
	in      []*value
	x, w, y *value
}

// pass lowers one direction of a convolution.
func (l *lowering) pass(direction C.int, name string, key convKey, v convOperands) error {
	key.winograd = l.x.e.winograd && key.faster(direction)
	p, err := l.primitive(key)
	if err != nil {
		return err
	}
	var weights, scratch C.long
	if err := status(C.conv_prepare(p, direction, &weights, &scratch)); err != nil {
		return err
	}
	l.weights, l.scratch = max(l.weights, int(weights)/4+1), max(l.scratch, int(scratch)/4+1)
	out, x := map[C.int]*value{C.FORWARD: v.y, C.BACKWARD_DATA: v.x, C.BACKWARD_WEIGHTS: v.w}[direction], l.x
	l.emit(name, v.in, []*value{out}, func() error {
		var w, dw *C.float
		if direction == C.BACKWARD_WEIGHTS {
			dw = v.w.c()
		} else {
			w = v.w.c()
		}
		return status(C.conv_run(p, direction, v.x.p(), w, v.y.p(), dw, x.weights.p, x.scratch.p))
	})
	return nil
}
