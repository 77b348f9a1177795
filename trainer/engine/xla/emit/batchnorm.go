package emit

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// Statistics and everything that is computed with them are exact, whatever activations are kept in.

// along gives each channel of a shape its value of v (C).
func along(v value, shape []int) value { return spread(v, shape, 1) }

// overChannels sums all values of a channel.
func (e *emission) overChannels(v value) value {
	if len(dims(v)) == 2 {
		return e.sum(v, 0)
	}
	return e.sum(v, 0, 2, 3)
}

// perChannel is how many values a channel has.
func perChannel(v value) float64 {
	n := dims(v)[0]
	for _, d := range dims(v)[2:] {
		n *= d
	}
	return float64(n)
}

// mean of all values of a channel.
func (e *emission) mean(v value) value { return e.scale(e.overChannels(v), 1/perChannel(v)) }

// row of statistics (2, C): (C).
func row(v value, i int) value { return reshape(part(v, 0, i, i+1), dims(v)[1]) }

func pair(a, b value) value {
	c := dims(a)[0]
	return concatenate(0, reshape(a, 1, c), reshape(b, 1, c))
}

// rstd is the reciprocal standard deviation (C).
func (e *emission) rstd(statistics value, epsilon float64) value {
	variance := row(e.wide(statistics), 1)
	return must(stablehlo.Rsqrt(add(variance, e.full(epsilon, variance))))
}

// centred is x − mean.
func (e *emission) centred(x, statistics value) value {
	return sub(e.wide(x), along(row(e.wide(statistics), 0), dims(x)))
}

// batchStatistics of bfloat16 values: that the mean of squares less the square of the mean cancels in float32 is
// far below what rounding x to 8 bits has done. Either way images are read once.
func batchStatistics(e *emission, _ op.BatchStatistics, in []value, _ []int) value {
	x := e.wide(in[0])
	switch {
	case in[0].Shape().DType == dtypes.BFloat16:
		mean := e.mean(x)
		squares := e.mean(mul(x, x))
		return pair(mean, must(stablehlo.Maximum(sub(squares, mul(mean, mean)), e.full(0, mean))))
	case len(dims(x)) == 4:
		return e.statisticsOfImages(x)
	}
	mean := e.mean(x)
	d := sub(x, along(mean, dims(x)))
	return pair(mean, e.mean(mul(d, d)))
}

// statisticsOfImages (N, C, H, W) are each image's own about one of its values, so that little cancels, and then those of the images
// (Chan, Golub and LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances", eq. 2.1).
func (e *emission) statisticsOfImages(x value) value {
	n, c := dims(x)[0], dims(x)[1]
	first := reshape(part(part(x, 2, 0, 1), 3, 0, 1), n, c)
	d := sub(x, spread(first, dims(x), 0, 1))
	values := float64(dims(x)[2] * dims(x)[3])
	mean := e.scale(e.sum(d, 2, 3), 1/values)
	within := sub(e.scale(e.sum(mul(d, d), 2, 3), 1/values), mul(mean, mean))
	mean = add(first, mean)
	whole := e.scale(e.sum(mean, 0), 1/float64(n))
	between := sub(mean, spread(whole, dims(mean), 1))
	return pair(whole, e.scale(e.sum(add(within, mul(between, between)), 0), 1/float64(n)))
}

func batchStatisticsGrad(e *emission, _ op.BatchStatisticsGrad, in []value, _ []int) value {
	x, d := in[0], e.scale(e.wide(in[2]), 1/perChannel(in[0]))
	return add(along(row(d, 0), dims(x)), mul(along(e.scale(row(d, 1), 2), dims(x)), e.centred(x, in[1])))
}

func normalize(e *emission, o op.Normalize, in []value, out []int) value {
	gain := mul(e.rstd(in[1], o.Epsilon), e.wide(in[2]))
	return add(mul(e.centred(in[0], in[1]), along(gain, out)), along(e.wide(in[3]), out))
}

func normalizeGradInput(e *emission, o op.NormalizeGradInput, in []value, out []int) value {
	return mul(e.wide(in[0]), along(mul(e.rstd(in[1], o.Epsilon), e.wide(in[2])), out))
}

// sums of dy, and of dy·(x − mean). The derivatives by the statistics, γ and β are made of them; the compiler finds
// those that are the same.
func (e *emission) sums(dy, x, statistics value) (s1, s2 value) {
	dy = e.wide(e.remade(dy))
	return e.overChannels(dy), e.overChannels(mul(dy, e.centred(x, statistics)))
}

func normalizeGradStatistics(e *emission, o op.NormalizeGradStatistics, in []value, _ []int) value {
	s1, s2 := e.sums(in[0], in[1], in[2])
	r := e.rstd(in[2], o.Epsilon)
	gain := mul(e.wide(in[3]), r)
	return pair(e.scale(mul(s1, gain), -1), e.scale(mul(s2, mul(gain, mul(r, r))), -0.5))
}

func normalizeGradGamma(e *emission, o op.NormalizeGradGamma, in []value, _ []int) value {
	_, s2 := e.sums(in[0], in[1], in[2])
	return mul(s2, e.rstd(in[2], o.Epsilon))
}

func normalizeGradBeta(e *emission, _ op.NormalizeGradBeta, in []value, _ []int) value {
	return e.overChannels(e.wide(e.remade(in[0])))
}

func runningStatistics(e *emission, o op.RunningStatistics, in []value, _ []int) value {
	batch := e.wide(in[1])
	unbiased := float64(o.Count) / float64(max(o.Count-1, 1)) // of one value the variance is 0
	batch = pair(row(batch, 0), e.scale(row(batch, 1), unbiased))
	return add(e.scale(e.wide(in[0]), 1-o.Momentum), e.scale(batch, o.Momentum))
}
