package pretrain

import (
	"math"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// atOnce is an engine that is best at whole steps.
type atOnce struct{ interp.Engine }

func (atOnce) WholeStep() bool { return true }

// after two steps by an engine: each one's loss and accuracy, and all variables.
func after(t *testing.T, e engine.Engine, c Config) (measures []float64, variables []safetensors.Tensor) {
	t.Helper()
	s, err := NewStepper(e, c, collective.Single{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m, err := s.Step(t.Context(), Whole(views(c)), 0.1)
		if err != nil {
			t.Fatal(err)
		}
		spread, err := s.Spread()
		if err != nil {
			t.Fatal(err)
		}
		measures = append(measures, m.Loss, m.Accuracy, spread.StandardDeviation)
	}
	if variables, err = s.Snapshot(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	return measures, variables
}

// In one program a step is what it is in three.
func TestAWholeStepIsTheStep(t *testing.T) {
	c := tiny()
	c.Optimizer.Kind, c.Optimizer.Momentum, c.Optimizer.WeightDecay = "LARS", 0.9, 1e-4
	want, wantVariables := after(t, interp.Engine{}, c)
	got, variables := after(t, atOnce{}, c)
	for i, w := range want {
		if math.Abs(got[i]-w) > 1e-6*(1+math.Abs(w)) {
			t.Errorf("measure %d is %v, not %v", i, got[i], w)
		}
	}
	if len(variables) != len(wantVariables) {
		t.Fatalf("%d variables, not %d", len(variables), len(wantVariables))
	}
	for i, w := range wantVariables {
		for k, v := range w.Data {
			if math.Abs(float64(variables[i].Data[k]-v)) > 1e-6*(1+math.Abs(float64(v))) {
				t.Fatalf("%s: value %d is %v, not %v", w.Name, k, variables[i].Data[k], v)
			}
		}
	}
}
