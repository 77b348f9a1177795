package cpu

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/model/pytorch"
)

// Loss, gradients and a step of LARS are what PyTorch computes in float64, to what float32 allows: in float32 PyTorch
// itself is up to 0.6e-5 away from that, of a tensor's largest value, 3e-5 with ReLU, whose kinks rounding crosses, and 4e-5
// with 50 layers.
func TestWholeStepAgainstPyTorch(t *testing.T) {
	cases, err := pytorch.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for how, on := range map[string]struct {
		e     *Engine
		bound float64
	}{"direct": {newEngine(t, Direct), stepDirect}, "Winograd": {newEngine(t), stepWinograd}} {
		for _, c := range cases {
			t.Run(c.Name+", "+how, func(t *testing.T) {
				differences, err := c.Differences(pytorch.Single(on.e))
				if err != nil {
					t.Fatal(err)
				}
				bound := on.bound
				if c.Activation == "ReLU" {
					bound *= 10
				}
				if c.Depth > 18 {
					bound *= deeper
				}
				for name, d := range differences {
					if !(d < bound) {
						t.Errorf("%s differs by %.1e of its largest value", name, d)
					}
				}
			})
		}
	}
}
