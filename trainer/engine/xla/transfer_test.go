package xla

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
)

// Views cross to the devices ahead of the step; in it only the loss's gradient, the learning rate, the loss and the accuracy
// cross, and z when somebody looks at it, of which each device has its own rows.
func TestWhatCrossesInAStep(t *testing.T) {
	const images, rounds = 8, 3
	c := small()
	for name, devices := range map[string]int{"one device": 1, "two devices": 2} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, devices, false)
			p, err := model.Whole(c, images, temperature, lars)
			if err != nil {
				t.Fatal(err)
			}
			x := compiled(t, e, p)
			defer closed(t, x)
			type bytes struct{ In, Out int64 }
			crossed := func(f func()) bytes {
				in, out := e.moved.in.Load(), e.moved.out.Load()
				f()
				return bytes{e.moved.in.Load() - in, e.moved.out.Load() - out}
			}
			v := optest.Views(images, c.ImageSize)
			for range rounds {
				var placed engine.Tensor
				var out []engine.Tensor
				got := crossed(func() {
					if placed, err = x.(engine.Remote).Place(0, 0, v); err != nil {
						t.Fatal(err)
					}
				})
				if d := cmp.Diff(bytes{In: int64(4 * len(v.Data))}, got); d != "" {
					t.Errorf("views (-want +got):\n%s", d)
				}
				got = crossed(func() { out = run(t, x, 0, placed, engine.Scalar(1), engine.Scalar(0.1)) })
				if d := cmp.Diff(bytes{In: int64(devices) * 8, Out: 8}, got); d != "" {
					t.Errorf("a step (-want +got):\n%s", d)
				}
				if parts := len(out[2].Remote.(onDevices)); parts != devices {
					t.Errorf("z is in %d parts", parts)
				}
				got = crossed(func() { onHost(t, x, out[2]) })
				if d := cmp.Diff(bytes{Out: int64(4 * 2 * images * c.Dimension)}, got); d != "" {
					t.Errorf("z (-want +got):\n%s", d)
				}
			}
		})
	}
}

// Of views that the devices make, decoded pixels of 8 bits and what was drawn cross, and nothing else; the step is the one on
// the host's views.
func TestWhatCrossesForViewsThatDevicesMake(t *testing.T) {
	const images = 4
	c := small()
	augmentations := augment.Default(c.ImageSize, 0.5, true)
	edge, rows := augmentations.Edge(c.ImageSize), 2*images
	for _, devices := range []int{1, 2} {
		t.Run(fmt.Sprint(devices), func(t *testing.T) {
			e := newEngine(t, devices, false)
			p, err := model.Whole(c, images, temperature, lars)
			if err != nil {
				t.Fatal(err)
			}
			var set []dataset.Image
			for range images {
				set = append(set, randomImage(c.ImageSize, c.ImageSize-len(set)))
			}
			sources, parameters, host := prepared(t, augmentations, edge, set)
			program, err := e.Views(augmentations, edge, rows)
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			loss := func(v engine.Tensor) float32 {
				x := compiled(t, e, p)
				defer closed(t, x)
				in, out := e.moved.in.Load(), e.moved.out.Load()
				got := run(t, x, 0, v, engine.Scalar(1), engine.Scalar(0.1))[0].Data[0]
				if in, out := e.moved.in.Load()-in, e.moved.out.Load()-out; v.Remote != nil && (in != int64(8*devices) || out != 8) {
					t.Errorf("in a step %d bytes go in and %d out", in, out)
				}
				return got
			}
			in, out := e.moved.in.Load(), e.moved.out.Load()
			made, err := program.Make(sources, parameters)
			if err != nil {
				t.Fatal(err)
			}
			in, out = e.moved.in.Load()-in, e.moved.out.Load()-out
			if want := int64(rows * (3*edge*edge + 4*augment.Parameters)); in != want || out != 0 {
				t.Errorf("%d bytes go in and %d out, want %d and none", in, out, want)
			}
			want := loss(engine.Tensor{Shape: []int{rows, 3, c.ImageSize, c.ImageSize}, Data: host})
			if got := loss(made); !(math.Abs(float64(got-want)) < 1e-4*float64(want)) {
				t.Errorf("loss %v, want %v", got, want)
			}
		})
	}
}

// A step on views that were placed is the step on the host's, also where the next ones are placed meanwhile.
func TestPlacingWhileAStepRuns(t *testing.T) {
	const images = 8
	c := small()
	p, err := model.Whole(c, images, temperature, lars)
	if err != nil {
		t.Fatal(err)
	}
	losses := func(place bool) (got []float32) {
		x := compiled(t, newEngine(t, 1, false), p)
		defer closed(t, x)
		next := make(chan engine.Tensor, 1)
		prepare := func(step int) {
			v := optest.Views(images, c.ImageSize)
			v.Data[0] = float32(step)
			if place {
				var err error
				if v, err = x.(engine.Remote).Place(0, 0, v); err != nil {
					t.Error(err)
				}
			}
			next <- v
		}
		go prepare(0)
		for step := range 4 {
			v := <-next
			go prepare(step + 1)
			got = append(got, run(t, x, 0, v, engine.Scalar(1), engine.Scalar(0.1))[0].Data[0])
		}
		if v := <-next; v.Remote != nil {
			if err := v.Remote.Close(); err != nil {
				t.Error(err)
			}
		}
		return got
	}
	if d := cmp.Diff(losses(false), losses(true)); d != "" {
		t.Errorf("(-from the host +placed):\n%s", d)
	}
}
