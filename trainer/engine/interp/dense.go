package interp

import "github.com/simclr-operator/simclr-operator/trainer/op"

func dense(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		switch o.(type) {
		case op.Dense: // x·wᵀ
			x, w, n := in[0], in[1], in[0].Shape[1]
			return product(out, func(i, j, k int) float64 { return x.V[i*n+k] * w.V[j*n+k] }, n)
		case op.DenseGradInput: // dy·w
			w, dy, n := in[0], in[1], in[0].Shape[0]
			return product(out, func(i, j, k int) float64 { return dy.V[i*n+k] * w.V[k*out.Shape[1]+j] }, n)
		case op.DenseGradWeight: // dyᵀ·x
			x, dy, n := in[0], in[1], in[0].Shape[0]
			return product(out, func(i, j, k int) float64 { return dy.V[k*out.Shape[0]+i] * x.V[k*out.Shape[1]+j] }, n)
		case op.AddBias:
			return each(out, func(i int) float64 { return in[0].V[i] + in[1].V[i%out.Shape[1]] })
		default: // op.BiasGrad
			for i, v := range in[0].V {
				out.V[i%out.Shape[0]] += v
			}
			return out
		}
	}
}

// product sums term(i, j, k) over k < n into out's rows i and columns j.
func product(out Array, term func(i, j, k int) float64, n int) Array {
	for i := range out.Shape[0] {
		for j := range out.Shape[1] {
			for k := range n {
				out.V[i*out.Shape[1]+j] += term(i, j, k)
			}
		}
	}
	return out
}
