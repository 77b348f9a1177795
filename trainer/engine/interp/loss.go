package interp

import (
	"math"

	"github.com/simclr-operator/simclr-operator/trainer/contrastive"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func loss(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		rows, width := in[0].Shape[0], in[0].Shape[1]
		switch o := o.(type) {
		case op.NTXent:
			out.V[0] = contrastive.Loss(in[0].V, rows, o.Temperature)
		case op.NTXentGrad:
			copy(out.V, contrastive.Gradient(in[0].V, rows, o.Temperature))
			for i := range out.V {
				out.V[i] *= in[1].V[0]
			}
		case op.ContrastiveAccuracy:
			out.V[0] = contrastive.Accuracy(in[0].V, rows)
		case op.SoftmaxCrossEntropy:
			for i := range rows {
				x := in[0].V[i*width : (i+1)*width]
				_, logSum := softmax(x)
				out.V[0] += (logSum - x[int(in[1].V[i])]) / float64(rows)
			}
		case op.SoftmaxCrossEntropyGrad:
			for i := range rows {
				p, _ := softmax(in[0].V[i*width : (i+1)*width])
				p[int(in[1].V[i])]--
				for k, v := range p {
					out.V[i*width+k] = v * in[2].V[0] / float64(rows)
				}
			}
		}
		return out
	}
}

// softmax, and the logarithm of the exponentials' sum: −log of a softmax that is 0 would be +Inf.
func softmax(x []float64) (p []float64, logSum float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.
	p = make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(v - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p, top + math.Log(sum)
}
