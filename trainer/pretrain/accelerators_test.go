package pretrain

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/xlatest"
)

// xlaEngine is of two devices of XLA's backend for CPUs, which share a worker's images.
func xlaEngine(t *testing.T) engine.Engine {
	t.Helper()
	e, err := xla.New(xla.Options{Plugin: xlatest.QuickPlugin(t), Devices: 2, Client: map[string]any{"cpu_device_count": int64(2)}, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// Workers with accelerators, connected over TCP, take the step that they take on CPUs: z and gradients go through the host.
func TestWorkersWithAcceleratorsMakeTheSameStep(t *testing.T) {
	e := xlaEngine(t)
	worker := cached()
	worker.Statistics, worker.Model.Smooth = v1alpha1.BatchNormWorker, true
	inference := worker
	inference.Statistics, inference.Model.RunningNorm = v1alpha1.BatchNormMicroBatch, true
	for name, tc := range map[string]struct {
		c              Config
		workers, micro int
	}{
		"each worker's statistics":               {worker, 2, 1},
		"running statistics, two micro-batches":  {inference, 2, 2},
		"running statistics, one worker at once": {inference, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			want := oneStep(t, interp.Engine{}, tc.c, tc.workers, tc.micro, 1)
			got := oneStepOf(t, e, tc.c, tc.workers, tc.micro, 1, overTCP)
			if math.Abs(got.loss-want.loss) > 1e-5*want.loss {
				t.Errorf("loss %v, want %v", got.loss, want.loss)
			}
			if name, by := furthest(want.steps, got.steps); !(by < 1e-3) || len(got.steps) == 0 {
				t.Errorf("%s differs by %.1e of its largest step", name, by)
			}
			if name, by := furthest(want.running, got.running); !(by < 1e-4) {
				t.Errorf("the running statistics %s differ by %.1e", name, by)
			}
		})
	}
}

// Statistics over all workers need one program of all devices.
func TestWorkersWithAcceleratorsHaveTheirOwnStatistics(t *testing.T) {
	e, c := xlaEngine(t), cached()
	c.Statistics = v1alpha1.BatchNormGlobal
	together(t, 2, func(w collective.Collective) error {
		s, err := NewStepper(e, c, w)
		if !errors.Is(err, emit.ErrSeveralWorkers) {
			t.Errorf("error %v", err)
		}
		if err != nil {
			return nil //nolint:nilerr // it is the one that is wanted
		}
		return s.Close()
	})
}

// joint is an engine of so many processes.
type joint struct {
	engine.Engine
	processes int
}

func (j joint) WholeStep() bool      { return true }
func (j joint) Processes() int       { return j.processes }
func (j joint) Alone() engine.Engine { return j.Engine }

// An engine of several processes takes a step of as many workers, with global statistics, at once; nothing else.
func TestOneProgramIsOfAllWorkers(t *testing.T) {
	for name, change := range map[string]func(c *Config, processes *int){
		"other processes":    func(_ *Config, processes *int) { *processes = 3 },
		"each worker's norm": func(c *Config, _ *int) { c.Statistics = v1alpha1.BatchNormWorker },
		"micro-batches":      func(c *Config, _ *int) { c.Statistics, c.MicroBatch = v1alpha1.BatchNormMicroBatch, 2 },
	} {
		t.Run(name, func(t *testing.T) {
			c, processes := cached(), 2
			c.Statistics = v1alpha1.BatchNormGlobal
			change(&c, &processes)
			together(t, 2, func(w collective.Collective) error {
				if _, err := NewStepper(joint{interp.Engine{}, processes}, c, w); err == nil || !strings.Contains(err.Error(), "processes are one program") {
					t.Errorf("error %v", err)
				}
				return nil
			})
		})
	}
}
