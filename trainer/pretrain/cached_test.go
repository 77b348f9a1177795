package pretrain

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/cpu"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// group of batch norm, of so many, of a batch's views: first views in a row, and of the second, with g groups, each g-th.
func group(all engine.Tensor, at, of int) engine.Tensor {
	images := all.Shape[0] / 2
	size, row := images/of, len(all.Data)/all.Shape[0]
	g := engine.Tensor{Shape: append([]int{2 * size}, all.Shape[1:]...)}
	add := func(n int) { g.Data = append(g.Data, all.Data[n*row:(n+1)*row]...) }
	for i := range size {
		add(at*size + i)
	}
	for i := range size {
		add(images + i*of + at)
	}
	return g
}

// share of a batch's views of one of so many workers: the first views in a row, and the second of the same images.
func share(all engine.Tensor, rank, size int) engine.Tensor {
	rows := all.Shape[0] / size
	return engine.Tensor{Shape: append([]int{rows}, all.Shape[1:]...), Data: part(all.Data, rank, size)}
}

// parts are a batch's views in so many micro-batches.
func parts(all engine.Tensor, of int) Views { return partsOf(all, Config{}, collective.Single{}, of) }

// partsOf a worker.
func partsOf(all engine.Tensor, c Config, w collective.Collective, of int) Views {
	return func(_ context.Context, at int) (engine.Tensor, error) {
		if c.Statistics == v1alpha1.BatchNormGlobal {
			return share(all, w.Rank(), w.Size()), nil
		}
		return group(all, w.Rank()*of+at, w.Size()*of), nil
	}
}

// result is what a step does.
type result struct {
	loss    float64
	steps   map[string][]float64 // by which each parameter moved, on the first worker
	running map[string][]float64
}

// oneStep of plain SGD on the views that c says, by so many workers, each with so many micro-batches.
func oneStep(t *testing.T, e engine.Engine, c Config, workers, micro int, rate float64) result {
	t.Helper()
	return oneStepOf(t, e, c, workers, micro, rate, together)
}

// oneStepOf workers that are brought together so.
func oneStepOf(t *testing.T, e engine.Engine, c Config, workers, micro int, rate float64, together func(*testing.T, int, func(collective.Collective) error)) result {
	t.Helper()
	r := result{steps: map[string][]float64{}, running: map[string][]float64{}}
	all := views(c)
	c.Images /= workers
	c.MicroBatch = c.Images / micro
	step := func(w collective.Collective) error {
		s, err := NewStepper(e, c, w)
		if err != nil {
			return err
		}
		defer s.Close()
		if c.Model.RunningNorm {
			if err := useBatchStatistics(s, c, all); err != nil {
				return err
			}
		}
		before := values(t, s)
		m, err := s.Step(t.Context(), partsOf(all, c, w, micro), rate)
		if err != nil || w.Rank() > 0 {
			return err
		}
		r.loss = m.Loss
		for name, after := range values(t, s) {
			for i := range after {
				if strings.HasSuffix(name, ".running") {
					r.running[name] = append(r.running[name], after[i])
				} else {
					r.steps[name] = append(r.steps[name], before[name][i]-after[i])
				}
			}
		}
		return nil
	}
	together(t, workers, step)
	return r
}

// useBatchStatistics makes a batch's statistics the running ones, so that activations have usual sizes.
func useBatchStatistics(s *Stepper, c Config, all engine.Tensor) error {
	c.Model.RunningNorm = false
	p, err := model.MicroBatch(c.Model, all.Shape[0]/2, c.Optimizer)
	if err != nil {
		return err
	}
	x, err := interp.New(p.Program)
	if err != nil {
		return err
	}
	if err := weights.Initialize(p.Parameters, p.Statistics, c.Seed, x.Set); err != nil {
		return err
	}
	out, err := x.Run(model.Forward, all)
	if err != nil {
		return err
	}
	for i, b := range p.Statistics {
		if err := s.network.Set(model.RunningName(b.Name), out[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// values of all variables, as exact as the engine has them.
func values(t *testing.T, s *Stepper) map[string][]float64 {
	all := map[string][]float64{}
	for _, v := range s.program.Variables {
		if x, ok := s.network.(*interp.Executable); ok {
			all[v.Name] = append([]float64{}, x.Variable(v.Name)...)
			continue
		}
		got, err := s.network.Get(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range got.Data {
			all[v.Name] = append(all[v.Name], float64(f))
		}
	}
	return all
}

// furthest is the parameter that differs most, and by how much of its largest value.
func furthest(a, b map[string][]float64) (name string, by float64) {
	for n := range a {
		d, largest := 0., 1e-30
		for i := range a[n] {
			d, largest = max(d, math.Abs(a[n][i]-b[n][i])), max(largest, math.Abs(a[n][i]))
		}
		if d/largest >= by {
			name, by = n, d/largest
		}
	}
	return name, by
}

// cached is a configuration with eight images.
func cached() Config {
	c := tiny()
	c.Images = 8
	return c
}

func cpuEngine(t *testing.T) engine.Engine {
	e, err := cpu.New(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// However a batch is cut into micro-batches and dealt to workers, every parameter takes the same step but for rounding,
// where batch norm's groups are the same. They are where it uses its running statistics, where workers hold as many
// images as micro-batches do, and where statistics are those of the whole batch.
func TestWorkersAndMicroBatchesMakeTheSameStep(t *testing.T) {
	inference := cached()
	inference.Model.RunningNorm = true
	global, worker := cached(), cached()
	global.Statistics, worker.Statistics = v1alpha1.BatchNormGlobal, v1alpha1.BatchNormWorker
	for name, tc := range map[string]struct {
		c      Config
		cuts   [][2]int // workers, micro-batches of each
		within float64
	}{
		"running statistics": {inference, [][2]int{{1, 1}, {1, 2}, {1, 4}, {1, 8}, {2, 2}, {4, 1}}, 1e-5},
		"groups of two":      {cached(), [][2]int{{4, 1}, {2, 2}, {1, 4}}, 1e-5},
		"groups of four":     {cached(), [][2]int{{2, 1}, {1, 2}}, 1e-5},
		"each worker's":      {worker, [][2]int{{2, 1}, {1, 2}}, 1e-5},
		// statistics are rounded otherwise, in every layer
		"global statistics": {global, [][2]int{{1, 1}, {2, 1}, {4, 1}}, 1e-4},
	} {
		for engineName, e := range map[string]engine.Engine{"interp": interp.Engine{}, "cpu": cpuEngine(t)} {
			t.Run(name+"/"+engineName, func(t *testing.T) {
				want := oneStep(t, e, tc.c, tc.cuts[0][0], tc.cuts[0][1], 1)
				for _, cut := range tc.cuts[1:] {
					c := tc.c
					if cut[1] > 1 && c.Statistics == v1alpha1.BatchNormWorker {
						c.Statistics = v1alpha1.BatchNormMicroBatch
					}
					got := oneStep(t, e, c, cut[0], cut[1], 1)
					if math.Abs(got.loss-want.loss) > 1e-6*want.loss {
						t.Errorf("%d workers of %d: loss %v, want %v", cut[0], cut[1], got.loss, want.loss)
					}
					if name, by := furthest(want.steps, got.steps); !(by < tc.within) {
						t.Errorf("%d workers of %d micro-batches: %s differs by %.1e of its largest step", cut[0], cut[1], name, by)
					}
					if name, by := furthest(want.running, got.running); !(by < 1e-6) {
						t.Errorf("%d workers of %d micro-batches: the running statistics %s differ by %.1e", cut[0], cut[1], name, by)
					}
				}
			})
		}
	}
}

// The test above sees a gradient that is averaged over micro-batches or workers instead of summed: that is a plain step
// of a part of the rate.
func TestAnAveragedGradientIsSeen(t *testing.T) {
	inference, global := cached(), cached()
	inference.Model.RunningNorm, global.Statistics = true, v1alpha1.BatchNormGlobal
	for name, tc := range map[string]struct {
		c              Config
		workers, micro int
	}{
		"over two micro-batches":  {inference, 1, 2},
		"over four micro-batches": {inference, 1, 4},
		"over two workers":        {global, 2, 1},
		"over four workers":       {global, 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			want := oneStep(t, interp.Engine{}, tc.c, 1, 1, 1)
			averaged := oneStep(t, interp.Engine{}, tc.c, tc.workers, tc.micro, 1/float64(tc.workers*tc.micro))
			if _, by := furthest(want.steps, averaged.steps); by < 0.4 {
				t.Errorf("the average differs by %.1e only", by)
			}
		})
	}
}

// Once a step the running statistics follow the mean over the micro-batches, each as if it were alone.
func TestRunningStatisticsFollowTheMean(t *testing.T) {
	const micro = 4
	c := cached()
	want := map[string][]float64{}
	for at := range micro {
		alone := c
		alone.Images = c.Images / micro
		s, err := NewStepper(interp.Engine{}, alone, collective.Single{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Step(t.Context(), Whole(group(views(c), at, micro)), 0); err != nil {
			t.Fatal(err)
		}
		for name, v := range values(t, s) {
			if want[name] == nil {
				want[name] = make([]float64, len(v))
			}
			for i := range v {
				want[name][i] += v[i] / micro
			}
		}
	}
	got := oneStep(t, interp.Engine{}, c, 1, micro, 0).running
	for name := range want {
		if !strings.HasSuffix(name, ".running") {
			delete(want, name)
		}
	}
	if name, by := furthest(want, got); !(by < 1e-6) || len(got) != len(want) || len(got) == 0 {
		t.Errorf("%s differs by %.1e", name, by)
	}
}

// A micro-batch whose second forward pass sees other views would give a gradient of neither.
func TestOtherViewsTheSecondTimeAreAnError(t *testing.T) {
	c := cached()
	c.MicroBatch = 4
	s, err := NewStepper(interp.Engine{}, c, collective.Single{})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	_, err = s.Step(t.Context(), func(_ context.Context, at int) (engine.Tensor, error) {
		v := group(views(c), at, 2)
		if asked++; asked == 3 {
			v.Data[0] += 0.5
		}
		return v, nil
	}, 1)
	if err == nil || !strings.Contains(err.Error(), "second forward pass of micro-batch 0") {
		t.Errorf("got %v", err)
	}
}

// counted counts the passes through a network.
type counted struct {
	engine.Engine
	runs map[int]int // by segment, of the programs with three
}

type countedRuns struct {
	engine.Executable
	runs map[int]int
}

func (c counted) Compile(p engine.Program) (engine.Executable, error) {
	x, err := c.Engine.Compile(p)
	if err != nil || len(p.Segments) < 3 {
		return x, err
	}
	return countedRuns{x, c.runs}, nil
}

func (c countedRuns) Run(segment int, feeds ...engine.Tensor) ([]engine.Tensor, error) {
	c.runs[segment]++
	return c.Executable.Run(segment, feeds...)
}

// With one micro-batch nothing runs twice, and of several the last one's forward pass does not.
func TestNothingRunsMoreOftenThanItMust(t *testing.T) {
	for micro, want := range map[int]map[int]int{
		1: {0: 1, 1: 1, 2: 1},
		4: {0: 4 + 3, 1: 4, 2: 1},
	} {
		e := counted{interp.Engine{}, map[int]int{}}
		oneStep(t, e, cached(), 1, micro, 1)
		if d := cmp.Diff(want, e.runs); d != "" {
			t.Errorf("%d micro-batches, runs by segment (-want +got):\n%s", micro, d)
		}
	}
}

// The memory of the network is a micro-batch's, however large the batch.
func TestMemoryIsOfAMicroBatch(t *testing.T) {
	e := cpuEngine(t)
	bytes := func(images, micro int) int64 {
		c := tiny()
		c.Images, c.MicroBatch = images, micro
		s, err := NewStepper(e, c, collective.Single{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.network.(interface{ Bytes() int64 }).Bytes()
	}
	small, large, whole := bytes(16, 8), bytes(1024, 8), bytes(64, 64)
	if small != large {
		t.Errorf("micro-batches of 8 take %d bytes in a batch of 16 and %d in one of 1024", small, large)
	}
	if whole < 3*small {
		t.Errorf("a batch of 64 takes %d bytes at once, and %d in micro-batches of 8", whole, small)
	}
}

func TestMicroBatchesDivideTheBatch(t *testing.T) {
	for _, micro := range []int{-1, 3, 16} {
		c := cached()
		c.MicroBatch = micro
		if _, err := NewStepper(interp.Engine{}, c, collective.Single{}); err == nil {
			t.Errorf("a batch of 8 was cut into micro-batches of %d", micro)
		}
	}
	for _, statistics := range []v1alpha1.BatchNormStatistics{v1alpha1.BatchNormGlobal, v1alpha1.BatchNormWorker} {
		c := cached()
		c.MicroBatch, c.Statistics = 4, statistics
		if _, err := NewStepper(interp.Engine{}, c, collective.Single{}); err == nil || !strings.Contains(err.Error(), "one micro-batch a worker, not of 2") {
			t.Errorf("%s statistics of two micro-batches: %v", statistics, err)
		}
	}
}
