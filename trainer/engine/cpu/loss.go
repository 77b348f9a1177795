package cpu

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

func (l *lowering) crossEntropy(n *gorgonia.Node, o op.Operator, nodes gorgonia.Nodes) {
	in := make([]*value, len(nodes))
	for i, d := range nodes {
		in[i] = l.values[d]
	}
	out := l.result(n, plain)
	switch o.(type) {
	case op.SoftmaxCrossEntropy:
		l.emit("cross entropy", in, []*value{out}, func() error {
			if err := checkLabels(in[1].floats(), in[0].shape[1]); err != nil {
				return err
			}
			out.floats()[0] = float32(crossEntropy(in[0], in[1].floats()))
			return nil
		})
	case op.SoftmaxCrossEntropyGrad:
		l.emit("cross entropy: gradient", in, []*value{out}, func() error {
			if err := checkLabels(in[1].floats(), in[0].shape[1]); err != nil {
				return err
			}
			crossEntropyGrad(in[0], in[1].floats(), in[2].floats()[0], out.floats())
			return nil
		})
	}
}

// softmax of a row of logits, and the logarithm of their exponentials' sum.
func softmax(x []float32) (p []float64, logSum float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.
	p = make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p, top + math.Log(sum)
}

// checkLabels is an error where a label is no class: -1, for one, is an image without label.
func checkLabels(labels []float32, classes int) error {
	for i, c := range labels {
		if !(c >= 0 && int(c) < classes) {
			return fmt.Errorf("label %v of image %d in the batch is none of the %d classes; train on labelled images only", c, i, classes)
		}
	}
	return nil
}

func crossEntropy(logits *value, labels []float32) float64 {
	x, k, loss := logits.floats(), logits.shape[1], 0.
	for i, c := range labels {
		// not −log of the softmax, which is 0 in float64 where logits are 745 apart: a loss of +Inf
		_, logSum := softmax(x[i*k : (i+1)*k])
		loss += logSum - float64(x[i*k+int(c)])
	}
	return loss / float64(len(labels))
}

func crossEntropyGrad(logits *value, labels []float32, dloss float32, out []float32) {
	x, k := logits.floats(), logits.shape[1]
	for i, c := range labels {
		p, _ := softmax(x[i*k : (i+1)*k])
		p[int(c)]--
		for j, v := range p {
			out[i*k+j] = float32(v * float64(dloss) / float64(len(labels)))
		}
	}
}
