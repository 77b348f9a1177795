package cpu

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/model/pytorch"
)

// Loss, gradients and a step of LARS are what PyTorch computes in float64, to what float32 allows: in float32 PyTorch
// itself is up to 0.6e-5 away from that, of a tensor's largest value, and 3e-5 with ReLU, whose kinks rounding crosses.
func TestWholeStepAgainstPyTorch(t *testing.T) {
	e := newEngine(t)
	cases, err := pytorch.Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			differences, err := c.Differences(pytorch.Single(e))
			if err != nil {
				t.Fatal(err)
			}
			bound := 1e-5
			if c.Activation == "ReLU" {
				bound = 1e-4
			}
			for name, d := range differences {
				if !(d < bound) {
					t.Errorf("%s differs by %.1e of its largest value", name, d)
				}
			}
		})
	}
}
