package cpu

/*
#include "shim.h"
*/
import "C"

import (
	"math"
	"unsafe"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// vector i of the scratch, of the widest value's channels.
func (x *executable) vector(i, n int) []float32 {
	return x.vectors.floats(5 * x.widest)[i*x.widest:][:n]
}

func cf(v []float32) *C.float { return (*C.float)(unsafe.Pointer(&v[0])) }

func rstd(stats []float32, epsilon float64) func(k int) float64 {
	c := len(stats) / 2
	return func(k int) float64 { return 1 / math.Sqrt(float64(stats[c+k])+epsilon) }
}

// affine lowers Normalize, with a ReLU and a shortcut's addition where they are fused: out = act(scale·x
// + shift + r).
func (l *lowering) affine(out, normalize *gorgonia.Node, r *value, relu bool) {
	o, _ := is[op.Normalize](normalize)
	in := engine.Operands(l.g, normalize)
	v, stats, gamma, beta := l.values[in[0]], l.values[in[1]], l.values[in[2]], l.values[in[3]]
	y := l.result(out, v.block)
	ins := []*value{v, stats, gamma, beta}
	if r != nil {
		r = l.as(r, v.block)
		ins = append(ins, r)
	}
	x := l.x
	l.emit("normalize", ins, []*value{y}, func() error {
		s, g, b := stats.floats(), gamma.floats(), beta.floats()
		scale, shift, by := x.vector(0, len(g)), x.vector(1, len(g)), rstd(s, o.Epsilon)
		for k := range g {
			a := float64(g[k]) * by(k)
			scale[k], shift[k] = float32(a), float32(float64(b[k])-a*float64(s[k]))
		}
		var rp *C.float
		if r != nil {
			rp = r.c()
		}
		C.channel_affine(v.layout(), v.c(), cf(scale), cf(shift), rp, C.int(flag(relu)), y.c())
		return nil
	})
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (l *lowering) statistics(n *gorgonia.Node, in *value) {
	out, x := l.result(n, 1), l.x
	l.emit("batch statistics", []*value{in}, []*value{out}, func() error {
		C.channel_stats(in.layout(), in.c(), (*C.double)(x.sums.p), out.c())
		return nil
	})
}

// normGrad lowers a whole group of derivatives.
func (l *lowering) normGrad(g *normGrad) error {
	if g.done {
		return nil
	}
	g.done = true
	in, stats, gamma := l.values[g.x], l.values[g.stats], l.values[g.gamma]
	dy := l.as(l.values[g.dy], in.block)
	ins := []*value{in, stats, gamma, dy}
	var mask *value
	if g.mask != nil {
		mask = l.as(l.values[g.mask], in.block)
		ins = append(ins, mask)
	}
	dx := l.result(g.dx, in.block)
	outs := []*value{dx}
	var dgamma, dbeta *value
	if g.dgamma != nil {
		dgamma = l.result(g.dgamma, 1)
		outs = append(outs, dgamma)
	}
	if g.dbeta != nil {
		dbeta = l.result(g.dbeta, 1)
		outs = append(outs, dbeta)
	}
	l.emit("batch norm backward", ins, outs, func() error {
		l.x.backward(g.epsilon, in, stats, gamma, dy, mask, dx, dgamma, dbeta)
		return nil
	})
	return nil
}

// backward is dx = γ·r·(dy − Σdy/m − (x − mean)·r²·Σ(dy·(x − mean))/m), r being 1/√(variance + ε).
func (x *executable) backward(epsilon float64, in, stats, gamma, dy, mask, dx, dgamma, dbeta *value) {
	l, s, g := in.layout(), stats.floats(), gamma.floats()
	c := len(g)
	s1, s2 := x.vector(3, c), x.vector(4, c)
	var mp *C.float
	if mask != nil {
		mp = mask.c()
	}
	C.channel_sums(l, in.c(), cf(s), dy.c(), mp, (*C.double)(x.sums.p), cf(s1), cf(s2))
	a, b, k0 := x.vector(0, c), x.vector(1, c), x.vector(2, c)
	m, by := float64(in.size()/c), rstd(s, epsilon)
	for k := range g {
		r := by(k)
		ga := float64(g[k]) * r
		gb := -ga * r * r * float64(s2[k]) / m
		a[k], b[k], k0[k] = float32(ga), float32(gb), float32(-ga*float64(s1[k])/m-gb*float64(s[k]))
		if dgamma != nil {
			dgamma.floats()[k] = float32(float64(s2[k]) * r)
		}
		if dbeta != nil {
			dbeta.floats()[k] = s1[k]
		}
	}
	C.channel_backward(l, in.c(), dy.c(), mp, cf(a), cf(b), cf(k0), dx.c())
}

// derivative lowers one of batch norm's derivatives that is in no group.
func (l *lowering) derivative(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	v := make([]*value, len(nodes))
	for i, d := range nodes {
		v[i] = l.values[d]
	}
	x := l.x
	switch o := o.(type) {
	case op.NormalizeGradInput: // dy, stats, gamma
		out := l.result(n, v[0].block)
		l.emit("normalize: gradient by x", v, []*value{out}, func() error {
			g, by := v[2].floats(), rstd(v[1].floats(), o.Epsilon)
			a, b := x.vector(0, len(g)), x.vector(1, len(g))
			for k := range g {
				a[k], b[k] = float32(float64(g[k])*by(k)), 0
			}
			C.channel_affine(v[0].layout(), v[0].c(), cf(a), cf(b), nil, 0, out.c())
			return nil
		})
	case op.BatchStatisticsGrad: // x, stats, dstats
		out := l.result(n, v[0].block)
		l.emit("batch statistics: gradient", v, []*value{out}, func() error {
			s, d := v[1].floats(), v[2].floats()
			c := len(s) / 2
			a, b, m := x.vector(0, c), x.vector(1, c), float64(v[0].size()/c)
			for k := range c {
				slope := 2 * float64(d[c+k]) / m
				a[k], b[k] = float32(slope), float32(float64(d[k])/m-slope*float64(s[k]))
			}
			C.channel_affine(v[0].layout(), v[0].c(), cf(a), cf(b), nil, 0, out.c())
			return nil
		})
	default:
		l.sums(n, o, v)
	}
}

// sums lowers the derivatives that add up over a channel.
func (l *lowering) sums(n *gorgonia.Node, o op.Operator, v []*value) {
	x, out := l.x, l.result(n, 1)
	v = append([]*value{}, v...)
	if len(v) > 1 {
		v[1] = l.as(v[1], v[0].block)
	}
	l.emit("normalize: sums", v, []*value{out}, func() error {
		dy, c := v[0], v[0].shape[1]
		s1, s2 := x.vector(3, c), x.vector(4, c)
		in, mean := dy, (*C.float)(nil)
		if len(v) > 1 {
			in, mean = v[1], v[2].c()
		}
		C.channel_sums(dy.layout(), in.c(), mean, dy.c(), nil, (*C.double)(x.sums.p), cf(s1), cf(s2))
		y := out.floats()
		switch o := o.(type) {
		case op.NormalizeGradBeta:
			copy(y, s1)
		case op.NormalizeGradGamma:
			by := rstd(v[2].floats(), o.Epsilon)
			for k := range c {
				y[k] = float32(float64(s2[k]) * by(k))
			}
		case op.NormalizeGradStatistics:
			by, g := rstd(v[2].floats(), o.Epsilon), v[3].floats()
			for k := range c {
				r := by(k)
				y[k] = float32(-float64(g[k]) * r * float64(s1[k]))
				y[c+k] = float32(-float64(g[k]) * r * r * r * float64(s2[k]) / 2)
			}
		}
		return nil
	})
}
