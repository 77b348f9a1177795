package cpu

/*
#include "shim.h"
*/
import "C"

// algorithm of a convolution.
type algorithm int

const (
	direct           algorithm = iota // each weight with each pixel, by oneDNN
	winogradOfOneDNN                  // in FP32, whole activations transformed at once
	winograd                          // ours: a few tiles at a time (winograd.cpp)
	winogradWide                      // ours: all tiles with a few weights at a time (winograd_wide.cpp)
)

// span is channel counts, from and below; 0 is no bound.
type span struct{ from, below int }

func (s span) has(c int) bool { return c >= s.from && (s.below == 0 || c < s.below) }

// Winograd's algorithm (Lavin and Gray 2016, arXiv 1509.09308: F(4×4, 3×3), which multiplies a quarter as often)
// multiplies in FP32, also what is kept as bfloat16. For which channel counts which of its implementations is
// faster than the direct algorithm was measured, shape by shape, on two cores of an AMD EPYC with AVX-512.
var fastest = map[bool]map[C.int][]choice{
	false: {
		C.FORWARD:          {{winograd, span{16, 256}}, {winogradWide, span{from: 256}}},
		C.BACKWARD_DATA:    {{winograd, span{16, 256}}, {winogradWide, span{from: 256}}},
		C.BACKWARD_WEIGHTS: {{winograd, span{16, 256}}, {winogradWide, span{from: 256}}},
	},
	true: {
		C.FORWARD:          {{winograd, span{32, 256}}, {winogradWide, span{from: 256}}},
		C.BACKWARD_DATA:    {{winograd, span{32, 256}}, {winogradWide, span{from: 256}}},
		C.BACKWARD_WEIGHTS: {{winograd, span{32, 256}}, {winogradWide, span{from: 256}}},
	},
}

type choice struct {
	by   algorithm
	over span // of the channels of the operand that has fewer
}

// choose takes Winograd's algorithm for one direction where it applies and is faster.
func (k *convKey) choose(direction C.int) {
	if k.k != 3 || k.stride != 1 || k.pad != 1 || k.src != 16 || k.dst != 16 {
		return
	}
	for _, c := range fastest[k.half][direction] {
		if c.over.has(min(k.c, k.o)) {
			if k.by = c.by; k.by == winogradWide && (k.c%32 != 0 || k.o%32 != 0) { // it has two vectors of channels at once
				k.by = winogradOfOneDNN
			}
			k.half = k.half && k.by != winogradOfOneDNN
			return
		}
	}
}

// winogradWide lowers one direction by our implementation for many channels.
func (l *lowering) winogradWide(direction C.int, s C.conv_shape, v convOperands) {
	var scratch C.long
	C.winograd_wide_room(s, direction, &scratch)
	l.room(0, scratch)
	x := l.x
	l.emit(directions[direction], v.in, []*value{v.out(direction)}, func() error {
		w, dw := v.weights(direction)
		C.winograd_wide_run(s, direction, v.x.p(), w, v.y.p(), dw, x.scratch.p)
		return nil
	})
}

// winograd lowers one direction by our implementation.
func (l *lowering) winograd(direction C.int, s C.conv_shape, v convOperands) {
	var weights, scratch C.long
	C.winograd_room(s, direction, &weights, &scratch)
	l.room(weights, scratch)
	x := l.x
	l.emit(directions[direction], v.in, []*value{v.out(direction)}, func() error {
		w, dw := v.weights(direction)
		C.winograd_run(s, direction, v.x.p(), w, v.y.p(), dw, x.weights.p, x.scratch.p)
		return nil
	})
}
