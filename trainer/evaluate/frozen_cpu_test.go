package evaluate

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// Steps of linear evaluation on the engine that trains, which swaps variables' buffers, leave the encoder as
// it is; one running variance that is another shows.
func TestCheckFrozenOnCPU(t *testing.T) {
	e, err := cpu.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	c, err := NewClassifier(e, ClassifierConfig{Model: tiny, Batch: 4, Classes: 2, Frozen: true, WeightDecay: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before, err := c.EncoderHash()
	if err != nil {
		t.Fatal(err)
	}
	steps(t, c, 3)
	if err := c.CheckFrozen(before); err != nil {
		t.Error(err)
	}
	name := model.RunningName("layer3.0.bn2")
	running, err := c.exec.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	running.Data[len(running.Data)-1] *= 1.001
	if err := c.exec.Set(name, running); err != nil {
		t.Fatal(err)
	}
	if err := c.CheckFrozen(before); err == nil {
		t.Error("a changed running variance does not show")
	}
}
