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
	return x.vectors.floats(vectors * x.widest)[i*x.widest:][:n]
}

// vectors of channels that the kernels use at once.
const vectors = 7

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
	y := l.result(out, v.form)
	ins := []*value{v, stats, gamma, beta}
	if r != nil {
		r = l.as(r, v.form)
		ins = append(ins, r)
	}
	x := l.x
	l.emit("normalize", ins, []*value{y}, func() error {
		scale, shift := x.affine(stats, gamma, beta, o.Epsilon)
		var rp unsafe.Pointer
		if r != nil {
			rp = r.p()
		}
		C.channel_affine(v.layout(), v.p(), cf(scale), cf(shift), rp, C.int(flag(relu)), y.p())
		return nil
	})
}

// affine is what a batch norm multiplies each channel with and adds to it, in the scratch vectors 0 and 1.
func (x *executable) affine(stats, gamma, beta *value, epsilon float64) (scale, shift []float32) {
	s, g, b := stats.floats(), gamma.floats(), beta.floats()
	scale, shift = x.vector(0, len(g)), x.vector(1, len(g))
	by := rstd(s, epsilon)
	for k := range g {
		a := float64(g[k]) * by(k)
		scale[k], shift[k] = float32(a), float32(float64(b[k])-a*float64(s[k]))
	}
	return scale, shift
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (l *lowering) statistics(n *gorgonia.Node, o op.BatchStatistics, in *value) {
	if o.Workers > 1 {
		l.statisticsOverWorkers(n, in)
		return
	}
	out, x := l.result(n, plain), l.x
	l.emit("batch statistics", []*value{in}, []*value{out}, func() error {
		C.channel_stats(in.layout(), in.p(), (*C.double)(x.sums.p), out.c())
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
	b := normBackward{epsilon: g.epsilon, workers: g.workers, x: in, stats: stats, gamma: gamma, dy: l.as(l.values[g.dy], in.form)}
	ins := []*value{b.dy, in, stats, gamma}
	switch {
	case g.beta != nil:
		b.beta = l.values[g.beta]
		ins = append(ins, b.beta)
	case g.mask != nil:
		b.mask = l.as(l.values[g.mask], in.form)
		ins = append(ins, b.mask)
	}
	b.dx = l.result(g.dx, in.form)
	var sums []*value
	if g.dgamma != nil {
		b.dgamma = l.result(g.dgamma, plain)
		sums = append(sums, b.dgamma)
	}
	if g.dbeta != nil {
		b.dbeta = l.result(g.dbeta, plain)
		sums = append(sums, b.dbeta)
	}
	if g.workers > 1 {
		l.normGradOverWorkers(&b, ins, sums)
		return nil
	}
	l.emitInPlace("batch norm backward", ins, append([]*value{b.dx}, sums...), func() error {
		b.run(l.x)
		return nil
	})
	return nil
}

// normBackward are the values of a normGrad; those that are not wanted are nil.
type normBackward struct {
	epsilon             float64
	workers             int
	x, stats, gamma, dy *value
	mask, beta          *value
	dx, dgamma, dbeta   *value
}

// gradient is dy behind the ReLU; of the scratch vectors it may use 0 and 1.
func (b *normBackward) gradient(x *executable) C.gradient {
	g := C.gradient{dy: b.dy.p()}
	if b.mask != nil {
		g.y = b.mask.p()
	}
	if b.beta != nil {
		scale, shift := x.affine(b.stats, b.gamma, b.beta, b.epsilon)
		g.scale, g.shift = cf(scale), cf(shift)
	}
	return g
}

// run: dx = γ·r·(dy − Σdy/m − (x − mean)·r²·Σ(dy·(x − mean))/m), r being 1/√(variance + ε).
func (b *normBackward) run(x *executable) {
	dy := b.gradient(x)
	s1, s2 := b.sums(x, dy)
	b.input(x, dy, func(k int) (float64, float64) { return float64(s1[k]), float64(s2[k]) })
}

// sums are each channel's Σdy and Σ(dy·(x − mean)), in the scratch vectors 5 and 6; γ's and β's gradients are made of them.
func (b *normBackward) sums(x *executable, dy C.gradient) (s1, s2 []float32) {
	s, c := b.stats.floats(), b.gamma.size()
	s1, s2 = x.vector(5, c), x.vector(6, c)
	C.channel_sums(b.x.layout(), b.x.p(), cf(s), dy, (*C.double)(x.sums.p), cf(s1), cf(s2))
	if b.dgamma != nil {
		by := rstd(s, b.epsilon)
		dgamma := b.dgamma.floats()
		for k := range dgamma {
			dgamma[k] = float32(float64(s2[k]) * by(k))
		}
	}
	if b.dbeta != nil {
		copy(b.dbeta.floats(), s1)
	}
	return s1, s2
}

// input is dx, from the two sums of each channel over all values that were normalised together.
func (b *normBackward) input(x *executable, dy C.gradient, sums func(k int) (s1, s2 float64)) {
	s, g := b.stats.floats(), b.gamma.floats()
	c := len(g)
	ka, kb, k0 := x.vector(2, c), x.vector(3, c), x.vector(4, c)
	m, by := float64(b.x.size()/c*b.workers), rstd(s, b.epsilon)
	for k := range g {
		s1, s2 := sums(k)
		r := by(k)
		ga := float64(g[k]) * r
		gb := -ga * r * r * s2 / m
		ka[k], kb[k], k0[k] = float32(ga), float32(gb), float32(-ga*s1/m-gb*float64(s[k]))
	}
	C.channel_backward(b.x.layout(), b.x.p(), dy, cf(ka), cf(kb), cf(k0), b.dx.p())
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
		out := l.result(n, v[0].form)
		l.emit("normalize: gradient by x", v, []*value{out}, func() error {
			g, by := v[2].floats(), rstd(v[1].floats(), o.Epsilon)
			a, b := x.vector(0, len(g)), x.vector(1, len(g))
			for k := range g {
				a[k], b[k] = float32(float64(g[k])*by(k)), 0
			}
			C.channel_affine(v[0].layout(), v[0].p(), cf(a), cf(b), nil, 0, out.p())
			return nil
		})
	case op.BatchStatisticsGrad: // x, stats, dstats
		out := l.result(n, v[0].form)
		l.emit("batch statistics: gradient", v, []*value{out}, func() error {
			s, d := v[1].floats(), v[2].floats()
			c := len(s) / 2
			a, b, m := x.vector(0, c), x.vector(1, c), float64(v[0].size()/c*max(o.Workers, 1))
			for k := range c {
				slope := 2 * float64(d[c+k]) / m
				a[k], b[k] = float32(slope), float32(float64(d[k])/m-slope*float64(s[k]))
			}
			C.channel_affine(v[0].layout(), v[0].p(), cf(a), cf(b), nil, 0, out.p())
			return nil
		})
	default:
		l.sums(n, o, v)
	}
}

// sums lowers the derivatives that add up over a channel.
func (l *lowering) sums(n *gorgonia.Node, o op.Operator, v []*value) {
	x, out := l.x, l.result(n, plain)
	v = append([]*value{}, v...)
	if len(v) > 1 {
		v[1] = l.as(v[1], v[0].form)
	}
	l.emit("normalize: sums", v, []*value{out}, func() error {
		dy, c := v[0], v[0].shape[1]
		s1, s2 := x.vector(5, c), x.vector(6, c)
		in, mean := dy, (*C.float)(nil)
		if len(v) > 1 {
			in, mean = v[1], v[2].c()
		}
		C.channel_sums(dy.layout(), in.p(), mean, C.gradient{dy: dy.p()}, (*C.double)(x.sums.p), cf(s1), cf(s2))
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
