package xla

import (
	"fmt"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// asTPU is an engine whose programs are those for TPUs.
func asTPU(t *testing.T, devices int) *Engine {
	t.Helper()
	e := newEngine(t, devices, true)
	e.info.Platform = "tpu"
	return e
}

// A step for TPUs, which have convolutions' weights with their axes turned, is the same in float64: z, gradients, and what is set
// and got of variables.
func TestStepAsForTPUs(t *testing.T) {
	c := small()
	c.Width, c.ImageSize = 0.05, 8
	want := inParts(t, interp.Engine{}, c, 8, lars)
	for _, devices := range []int{1, 2} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			e := asTPU(t, devices)
			atOnce(t, e, c, 8, lars).differences(t, want, rounding)
			inParts(t, e, c, 8, lars).differences(t, want, rounding)
		})
	}
}

// No step turns axes: weights, their gradients and momenta have on a TPU those that its convolutions are given.
func TestNothingIsTurnedInAStep(t *testing.T) {
	p, err := model.Whole(small(), 8, temperature, lars)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{"cuda": "tensor<16x3x3x3xf32>", "tpu": "tensor<3x3x3x16xf32>"} // of the stem's weights
	for _, platform := range []string{"cuda", "tpu"} {
		programs, err := emit.Programs(p.Program, emit.Options{Platform: platform})
		if err != nil {
			t.Fatal(err)
		}
		text := string(programs[0].Text)
		if strings.Contains(text, "stablehlo.transpose") {
			t.Errorf("%s: a value is transposed", platform)
		}
		for of, stem := range kept {
			if strings.Contains(text, stem) != (of == platform) {
				t.Errorf("%s: weights are not as %s keeps them, or as %s does", platform, platform, of)
			}
		}
	}
}

// The backward pass for TPUs begins when the loss is known to be finite, so that what waits for the guard need not wait for its end.
func TestBackwardPassKnowsTheLoss(t *testing.T) {
	p, err := model.Whole(small(), 8, temperature, lars)
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{"cuda", "tpu"} {
		step := text(t, p.Program, platform)
		known, backward := strings.Index(step, "stablehlo.is_finite"), strings.Index(step, "stablehlo.reverse")
		if known < 0 || backward < 0 {
			t.Fatalf("%s: neither is a loss known nor a convolution turned", platform)
		}
		if (known < backward) != (platform == "tpu") {
			t.Errorf("%s: the loss is known at %d of the text, the first convolution's gradient at %d", platform, known, backward)
		}
	}
}
