package pretrain

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/collective/collectivetest"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

func tiny() Config {
	return Config{
		Model: model.Config{
			Depth: 18, Width: 0.05, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 8, Dimension: 8, OutputShift: true, Smooth: true,
		},
		Images: 3, Temperature: 0.5, Optimizer: optimizer.Config{Kind: "Plain"},
	}
}

func views(c Config) engine.Tensor {
	v := engine.NewTensor(2*c.Images, 3, c.Model.ImageSize, c.Model.ImageSize)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range v.Data {
		v.Data[i] = r.Float32()
	}
	return v
}

// stepped is the loss of a step with a learning rate from weights, and the weights after it.
func stepped(t *testing.T, c Config, rate float64, change func(name string, w []float32)) (float64, map[string][]float32) {
	t.Helper()
	s, err := NewStepper(interp.Engine{}, c, collective.Single{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.program.Parameters {
		v, err := s.network.Get(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		change(p.Name, v.Data)
		if err := s.network.Set(p.Name, v); err != nil {
			t.Fatal(err)
		}
	}
	m, err := s.Step(t.Context(), parts(views(c), s.parts), rate)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string][]float32{}
	for _, p := range s.program.Parameters {
		v, err := s.network.Get(p.Name)
		if err != nil {
			t.Fatal(err)
		}
		after[p.Name] = v.Data
	}
	return m.Loss, after
}

// A step of plain SGD of rate 1 goes down the derivative of the loss that it tells, in its right scale:
// LARS would hide a wrong one.
func TestStepDescendsTheLoss(t *testing.T) {
	c := tiny()
	descends(t, c)
	// in micro-batches, whose batch statistics are their own
	c.Images, c.MicroBatch = 4, 2
	descends(t, c)
}

func descends(t *testing.T, c Config) {
	t.Helper()
	none := func(string, []float32) {}
	_, before := stepped(t, c, 0, none)
	_, after := stepped(t, c, 1, none)
	for _, name := range []string{"conv1.weight", "layer1.0.bn2.weight", "layer3.0.conv1.weight", "projection.0.weight", "projection.3.weight", "projection.4.bias"} {
		// along the gradient the derivative is its norm
		norm := 0.
		for i, w := range before[name] {
			norm += math.Pow(float64(w-after[name][i]), 2)
		}
		norm = math.Sqrt(norm)
		const h = 1e-3
		move := func(by float64) float64 {
			loss, _ := stepped(t, c, 0, func(n string, w []float32) {
				for i := range w {
					if n == name {
						w[i] += float32(by * float64(before[name][i]-after[name][i]) / norm)
					}
				}
			})
			return loss
		}
		if slope := (move(h) - move(-h)) / (2 * h); math.Abs(slope-norm) > 0.02*norm {
			t.Errorf("micro-batches of %d, %s: the loss's slope is %.5f, the step's %.5f", c.MicroBatch, name, slope, norm)
		}
	}
}

func TestNoUpdateWithoutALoss(t *testing.T) {
	c := tiny()
	s, err := NewStepper(interp.Engine{}, c, collective.Single{})
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	v := views(c)
	v.Data[0] = float32(math.NaN())
	if m, err := s.Step(t.Context(), Whole(v), 1); err != nil || !math.IsNaN(m.Loss) {
		t.Fatalf("loss %v, %v", m.Loss, err)
	}
	after, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("weights changed (-before +after):\n%s", diff)
	}
}

func TestRowsOfWorkers(t *testing.T) {
	// a row is one value: worker, view, image
	parts := [][]float32{{0.00, 0.01, 0.10, 0.11}, {1.00, 1.01, 1.10, 1.11}}
	all := byView(parts)
	want := []float32{0.00, 0.01, 1.00, 1.01, 0.10, 0.11, 1.10, 1.11}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("all rows (-want +got):\n%s", diff)
	}
	for rank, want := range parts {
		if diff := cmp.Diff(want, part(all, rank, 2)); diff != "" {
			t.Errorf("rows of worker %d (-want +got):\n%s", rank, diff)
		}
	}
}

func TestRowsOfGroups(t *testing.T) {
	// of 6 images, two values a row: view and image
	byImage, byGroup := []float32{}, []float32{}
	for _, row := range [][]int{{0, 1, 2, 3, 4, 5}, {10, 11, 12, 13, 14, 15}} {
		for _, v := range row {
			byImage = append(byImage, float32(v), 0.5)
		}
	}
	for _, row := range [][]int{{0, 1, 2, 3, 4, 5}, {10, 13, 11, 14, 12, 15}} {
		for _, v := range row {
			byGroup = append(byGroup, float32(v), 0.5)
		}
	}
	if diff := cmp.Diff(byImage, matched(byGroup, 3, 2)); diff != "" {
		t.Errorf("matched (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(byGroup, dealt(byImage, 3, 2)); diff != "" {
		t.Errorf("dealt out (-want +got):\n%s", diff)
	}
}

func TestStopBetweenParts(t *testing.T) {
	c := tiny()
	s, err := NewStepper(interp.Engine{}, c, collective.Single{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Step(ctx, Whole(views(c)), 1); err == nil {
		t.Error("a step with a collective that was stopped gave no error")
	}
}

// A worker that waits for another within the network's forward pass stops with the step's context, or when the other is lost.
func TestStopWithinTheNetwork(t *testing.T) {
	c := tiny()
	c.Statistics = v1alpha1.BatchNormGlobal
	first := func(within time.Duration, other func(ended <-chan struct{})) error {
		ended := make(chan struct{})
		return collectivetest.Each(2, func(w collective.Collective) error {
			if w.Rank() == 1 {
				other(ended)
				return nil
			}
			defer close(ended)
			s, err := NewStepper(interp.Engine{}, c, w)
			if err != nil {
				return err
			}
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			_, err = s.Step(ctx, Whole(views(c)), 1)
			return err
		})[0]
	}
	if err := first(time.Hour, func(<-chan struct{}) {}); !lost(err) {
		t.Errorf("with a lost worker: error %v", err)
	}
	if err := first(20*time.Millisecond, func(ended <-chan struct{}) { <-ended }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a worker that does nothing: error %v", err)
	}
}

func lost(err error) bool {
	_, ok := errors.AsType[*collectivetest.LostError](err)
	return ok
}
