package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

func streamCases() map[string]optest.Case {
	cases := map[string]optest.Case{}
	for _, c := range []int{3, 8, 16, 20, 48} {
		x, a, y := n(3, 2*c, 3, 4), n(3, 2*c), n(3, c, 3, 4)
		for name, o := range map[string]optest.Case{
			"sum of streams":  of(op.SumStreams{}, a),
			"repeated":        of(op.RepeatStreams{}, n(3, c)),
			"softmax over":    of(op.StreamSoftmax{}, a),
			"softmax over dx": of(op.StreamSoftmaxGrad{}, a, a),
			"mix":             of(op.MixStreams{}, x, a),
			"mix dx":          of(op.MixStreamsGradInput{}, a, y),
			"mix da":          of(op.MixStreamsGradWeight{}, x, y),
		} {
			cases[fmt.Sprintf("%s streams of %d channels", name, c)] = o
		}
	}
	return cases
}

// selective is a program that mixes the two streams of a convolution's result by weights of its own average, and what
// that gives for the gradient by the convolution's operands.
func selective(t *testing.T, channels int) (engine.Program, []engine.Tensor) {
	t.Helper()
	g := gorgonia.NewGraph()
	r := rand.New(rand.NewPCG(9, 9))
	var in gorgonia.Nodes
	var feeds []engine.Tensor
	for _, shape := range [][]int{{3, 3, 7, 7}, {2 * channels, 3, 3, 3}, {3, channels, 7, 7}} {
		in = append(in, vector(g, fmt.Sprint("in", len(in)), shape...))
		feeds = append(feeds, drawn(n(shape...), r))
	}
	x := apply(t, op.Conv2D{Stride: 1, Pad: 1}, in[0], in[1])
	s := apply(t, op.SumStreams{}, apply(t, op.GlobalAveragePool{}, x))
	a := apply(t, op.StreamSoftmax{}, apply(t, op.RepeatStreams{}, s))
	a = apply(t, op.StreamSoftmax{}, apply(t, op.Add{}, a, apply(t, op.GlobalAveragePool{}, x)))
	y := apply(t, op.MixStreams{}, x, a)
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{y}, in[2:], in[:2])
	if err != nil {
		t.Fatal(err)
	}
	return engine.Program{Graph: g, Segments: []engine.Segment{{Name: "s", Feeds: in, Fetches: append(gorgonia.Nodes{y}, grads...)}}}, feeds
}

// In every layout that convolutions give, whose blocks are one stream's or both's.
func TestSelectiveKernel(t *testing.T) {
	e := newEngine(t)
	for precision, within := range map[engine.Precision]float64{engine.FP32: roundingFP32, engine.BF16: roundingBF16} {
		for _, channels := range []int{5, 8, 12, 16, 24, 32} {
			t.Run(fmt.Sprintf("%d channels, precision %d", channels, precision), func(t *testing.T) {
				p, feeds := selective(t, channels)
				want := run(t, interp.Engine{}, p, feeds...)
				p.Precision = precision
				if precision == engine.BF16 && refusesBF16(t, e, p) {
					return
				}
				for i, got := range run(t, e, p, feeds...) {
					if d := difference(got, want[i]); !(d < within) {
						t.Errorf("fetch %d differs from the interpreter by %.1e of the largest value", i, d)
					}
				}
			})
		}
	}
}

// The gradients by the streams of being mixed and of being averaged are added in the pass that computes the first.
func TestGradientsOfStreamsAreOnePass(t *testing.T) {
	p, _ := selective(t, 16)
	x, err := newEngine(t).Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, s := range x.(*executable).segments[0] {
		names[s.name]++
	}
	if names["mix streams: gradient"] != 1 || names["global average pool: gradient"] != 0 {
		t.Errorf("steps: %v", names)
	}
}
