package pretrain

import (
	"errors"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
)

// TestWorkersAndMicroBatchesMakeTheSameStep sees statistics that are each worker's own.
func TestOwnStatisticsAreSeen(t *testing.T) {
	c := cached()
	c.Statistics = v1alpha1.BatchNormGlobal
	want := oneStep(t, interp.Engine{}, c, 1, 1, 1)
	c.Statistics = v1alpha1.BatchNormWorker
	if _, by := furthest(want.steps, oneStep(t, interp.Engine{}, c, 2, 1, 1).steps); by < 1e-2 {
		t.Errorf("each worker's own statistics differ by %.1e only", by)
	}
}

// In BF16 a step of several workers is one worker's, as far as that rounds: a worker's own statistics are further away.
func TestWorkersInBF16MakeTheSameStep(t *testing.T) {
	e := cpuEngine(t)
	c := cached()
	c.Statistics, c.Model.Precision, c.Model.Width = v1alpha1.BatchNormGlobal, engine.BF16, 0.25
	if s, err := NewStepper(e, c, collective.Single{}); errors.Is(err, cpu.ErrNoBF16) {
		return // that it says so is engine/cpu's to test
	} else if err != nil {
		t.Fatal(err)
	} else if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := oneStep(t, e, c, 1, 1, 1)
	for _, workers := range []int{2, 4} {
		global, own := c, c
		own.Statistics = v1alpha1.BatchNormWorker
		if name, by := furthest(want.steps, oneStep(t, e, global, workers, 1, 1).steps); !(by < 0.2) {
			t.Errorf("%d workers: %s differs by %.2f of its largest step", workers, name, by)
		}
		if _, by := furthest(want.steps, oneStep(t, e, own, workers, 1, 1).steps); by < 1 {
			t.Errorf("%d workers: their own statistics differ by %.2f only", workers, by)
		}
	}
}
