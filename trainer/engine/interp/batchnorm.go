package interp

import (
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// channels visits every element of an (N, C) or (N, C, H, W) array with its channel.
func channels(s []int, f func(i, c int)) {
	area := 1
	if len(s) == 4 {
		area = s[2] * s[3]
	}
	for i := range s[0] * s[1] * area {
		f(i, i/area%s[1])
	}
}

// statistics are a (2, C) array's mean and reciprocal standard deviation.
type statistics struct {
	mean []float64
	rstd []float64
}

func moments(s Array, epsilon float64) statistics {
	c := s.Shape[1]
	m := statistics{s.V[:c], make([]float64, c)}
	for k := range c {
		m.rstd[k] = 1 / math.Sqrt(s.V[c+k]+epsilon)
	}
	return m
}

func batchNorm(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		switch o := o.(type) {
		case op.BatchStatistics:
			batchStatistics(out, in[0])
		case op.BatchStatisticsGrad:
			x, s, d, c := in[0], in[1].V, in[2].V, in[0].Shape[1]
			m := float64(len(x.V) / c * max(o.Workers, 1))
			channels(x.Shape, func(i, k int) { out.V[i] = d[k]/m + d[c+k]*2*(x.V[i]-s[k])/m })
		case op.Normalize:
			x, s, g, b := in[0].V, moments(in[1], o.Epsilon), in[2].V, in[3].V
			channels(out.Shape, func(i, k int) { out.V[i] = (x[i]-s.mean[k])*s.rstd[k]*g[k] + b[k] })
		case op.NormalizeGradInput:
			dy, s, g := in[0].V, moments(in[1], o.Epsilon), in[2].V
			channels(out.Shape, func(i, k int) { out.V[i] = dy[i] * g[k] * s.rstd[k] })
		case op.NormalizeGradStatistics:
			dy, x, s, g, c := in[0], in[1].V, moments(in[2], o.Epsilon), in[3].V, in[0].Shape[1]
			channels(dy.Shape, func(i, k int) {
				r := s.rstd[k]
				out.V[k] -= dy.V[i] * g[k] * r
				out.V[c+k] -= dy.V[i] * g[k] * (x[i] - s.mean[k]) * r * r * r / 2
			})
		case op.NormalizeGradGamma:
			dy, x, s := in[0], in[1].V, moments(in[2], o.Epsilon)
			channels(dy.Shape, func(i, k int) { out.V[k] += dy.V[i] * (x[i] - s.mean[k]) * s.rstd[k] })
		case op.NormalizeGradBeta:
			channels(in[0].Shape, func(i, k int) { out.V[k] += in[0].V[i] })
		case op.RunningStatistics:
			runningStatistics(o, out, in[0].V, in[1].V)
		}
		return out
	}
}

func batchStatistics(out, x Array) {
	c := x.Shape[1]
	m := float64(len(x.V) / c)
	channels(x.Shape, func(i, k int) { out.V[k] += x.V[i] / m })
	channels(x.Shape, func(i, k int) { out.V[c+k] += (x.V[i] - out.V[k]) * (x.V[i] - out.V[k]) / m })
}

func runningStatistics(o op.RunningStatistics, out Array, running, batch []float64) {
	c := out.Shape[1]
	for i := range out.V {
		v := batch[i]
		if i >= c {
			v *= float64(o.Count) / float64(max(o.Count-1, 1)) // of one value the variance is 0
		}
		out.V[i] = (1-o.Momentum)*running[i] + o.Momentum*v
	}
}
