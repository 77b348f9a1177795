package cpu

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/collective/collectivetest"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// within is a worker as a program reaches it.
func within(t *testing.T, w collective.Collective) engine.Workers {
	return &collective.Within{Collective: w, Context: t.Context()}
}

// together is what an operator gives each of several workers, whose operands differ.
func together(t *testing.T, workers int, e engine.Engine, tc optest.Case, precision engine.Precision, shift float32) []engine.Tensor {
	t.Helper()
	all := make([]engine.Tensor, workers)
	collectivetest.Run(t, workers, func(w collective.Collective) error {
		r := rand.New(rand.NewPCG(3, uint64(w.Rank())))
		var feeds []engine.Tensor
		for _, o := range tc.In {
			f := drawn(o, r)
			for i := range f.Data {
				f.Data[i] += shift
			}
			feeds = append(feeds, f)
		}
		p := tc.Alone(t)
		p.Workers, p.Precision = within(t, w), precision
		x, err := e.Compile(p)
		if err != nil {
			return err
		}
		defer x.Close()
		out, err := x.Run(0, feeds...)
		if err == nil {
			all[w.Rank()] = engine.Tensor{Shape: out[0].Shape, Data: append([]float32{}, out[0].Data...)}
		}
		return err
	})
	return all
}

// Everything over workers is what the interpreter computes, on one engine as on several, the same bits on every worker.
func TestOperatorsOverWorkersAgainstInterpreter(t *testing.T) {
	const workers = 3
	e := newEngine(t)
	cases := map[string]optest.Case{
		"sum":           of(op.SumOverWorkers{Workers: workers}, n(2, 5)),
		"sum of images": of(op.SumOverWorkers{Workers: workers}, n(2, 16, 3, 4)),
		"sum of one":    of(op.SumOverWorkers{}, n(2, 5)),
	}
	for _, c := range []int{3, 16, 20} {
		for rank, x := range map[string]optest.Operand{"4": n(5, c, 3, 4), "2": n(7, c)} {
			cases[fmt.Sprintf("statistics rank %s, %d channels", rank, c)] = of(op.BatchStatistics{Workers: workers}, x)
			cases[fmt.Sprintf("statistics dx rank %s, %d channels", rank, c)] = of(op.BatchStatisticsGrad{Workers: workers}, x, stats(c), n(2, c))
		}
	}
	for name, tc := range cases {
		for precision, within := range map[engine.Precision]float64{engine.FP32: roundingFP32, engine.BF16: roundingBF16} {
			t.Run(fmt.Sprint(name, " ", precision), func(t *testing.T) {
				if precision == engine.BF16 && refusesBF16(t, e, of(op.ReLU{}, n(2, 2)).Alone(t)) {
					return
				}
				want, got := together(t, workers, interp.Engine{}, tc, engine.FP32, 0), together(t, workers, e, tc, precision, 0)
				for w := range workers {
					if d := difference(got[w], want[w]); !(d < within) {
						t.Errorf("worker %d: differs from the interpreter by %.1e of the largest value", w, d)
					}
					if op.OverWorkers(tc.Op) > 1 && !cmp.Equal(got[w], got[0]) {
						t.Errorf("worker %d has other bits than worker 0", w)
					}
				}
			})
		}
	}
}

// The variance is right where the mean is 10,000 times the deviation: sums of squares would have none of its bits left.
func TestVarianceOverWorkersBesideALargeMean(t *testing.T) {
	tc := of(op.BatchStatistics{Workers: 2}, n(64, 8, 4, 4))
	const mean = 1e4
	want, got := together(t, 2, interp.Engine{}, tc, engine.FP32, mean)[0], together(t, 2, newEngine(t), tc, engine.FP32, mean)[0]
	for i, w := range want.Data {
		if d := math.Abs(float64(got.Data[i] - w)); !(d < 2e-6*math.Abs(float64(w))) {
			t.Errorf("value %d is %v, want %v", i, got.Data[i], w)
		}
	}
}

// outcomesOf a step of so many workers are each's z, and its parts of the gradients.
func outcomesOf(t *testing.T, e engine.Engine, c model.Config, workers, images int) []map[string]engine.Tensor {
	t.Helper()
	c.NormWorkers = workers
	all := make([]map[string]engine.Tensor, workers)
	collectivetest.Run(t, workers, func(w collective.Collective) error {
		p, err := model.Contrastive(c, images, optimizer.Config{Kind: "Plain"})
		if err != nil {
			return err
		}
		p.Workers = within(t, w)
		x, err := e.Compile(p.Program)
		if err != nil {
			return err
		}
		defer x.Close()
		for _, q := range p.Parameters {
			if err := x.Set(q.Name, q.Draw(1)); err != nil {
				return err
			}
		}
		r := rand.New(rand.NewPCG(5, uint64(w.Rank())))
		views, dz := engine.NewTensor(2*images, 3, c.ImageSize, c.ImageSize), engine.NewTensor(2*images, c.Dimension)
		for i := range views.Data {
			views.Data[i] = r.Float32()
		}
		for i := range dz.Data {
			dz.Data[i] = float32(r.NormFloat64())
		}
		z, err := x.Run(model.Forward, views)
		if err != nil {
			return err
		}
		o := map[string]engine.Tensor{"z": {Shape: z[0].Shape, Data: append([]float32{}, z[0].Data...)}}
		grads, err := x.Run(model.Backward, dz)
		if err != nil {
			return err
		}
		for i, q := range p.Parameters {
			o["gradient of "+q.Name] = engine.Tensor{Shape: q.Shape, Data: append([]float32{}, grads[i].Data...)}
		}
		feeds := append([]engine.Tensor{engine.Scalar(0)}, grads...)
		if _, err := x.Run(model.Update, feeds...); err != nil {
			return err
		}
		for _, s := range p.Statistics {
			if o[model.RunningName(s.Name)], err = x.Get(model.RunningName(s.Name)); err != nil {
				return err
			}
		}
		all[w.Rank()] = o
		return nil
	})
	return all
}

// A whole step with batch norm over workers is the interpreter's, whatever is fused with it, and the running statistics have the
// same bits on every worker.
func TestStepOverWorkersAgainstInterpreter(t *testing.T) {
	const workers, images = 2, 4
	for name, change := range map[string]func(c *model.Config){
		"smooth":            func(*model.Config) {},
		"odd width":         func(c *model.Config) { c.Width = 0.1 },
		"bottlenecks":       func(c *model.Config) { c.Depth, c.Stem, c.ImageSize = 50, "ImageNet", 40 },
		"selective kernels": func(c *model.Config) { c.Depth, c.SelectiveKernel = 50, "Enabled" },
		"ReLU":              func(c *model.Config) { c.Smooth = false },
	} {
		t.Run(name, func(t *testing.T) {
			c := model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 16, Dimension: 32, OutputShift: true, Smooth: true}
			change(&c)
			bound := stepDirect
			if c.Depth > 18 {
				bound *= deeper * selects
			}
			want, got := outcomesOf(t, interp.Engine{}, c, workers, images), outcomesOf(t, newEngine(t, Direct), c, workers, images)
			for w := range workers {
				for name, v := range want[w] {
					gradient := strings.HasPrefix(name, "gradient")
					if r := optest.Cosine(got[w][name].Data, v.Data); gradient && !(r >= 0.999) {
						t.Errorf("worker %d: %s has cosine %.5f", w, name, r)
					}
					if d := difference(got[w][name], v); !(d < bound) && (c.Smooth || !gradient) {
						t.Errorf("worker %d: %s differs by %.1e of its largest value", w, name, d)
					}
					if strings.HasSuffix(name, ".running") && !cmp.Equal(got[w][name], got[0][name]) {
						t.Errorf("worker %d: %s has other bits than worker 0's", w, name)
					}
				}
			}
		})
	}
}

// Batch norm over workers is as much fused as of one, and exchanges once forward and once backward.
func TestBatchNormOverWorkersIsFused(t *testing.T) {
	c := model.Config{Depth: 18, Width: 0.25, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 16, Dimension: 32, OutputShift: true, NormWorkers: 2}
	p, err := model.Contrastive(c, 4, optimizer.Config{Kind: "Plain"})
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t)
	if _, err := e.Compile(p.Program); err == nil || !strings.Contains(err.Error(), "is over 2 workers, the program has 1") {
		t.Errorf("without workers: %v", err)
	}
	collectivetest.Run(t, 2, func(w collective.Collective) error {
		p := *p
		p.Workers = within(t, w)
		x, err := e.Compile(p.Program)
		if err != nil {
			return err
		}
		steps := map[string]int{}
		for _, segment := range x.(*executable).segments {
			for _, s := range segment {
				steps[s.name]++
			}
		}
		norms := len(p.Statistics)
		for _, name := range []string{"batch statistics of this worker", "batch statistics of all workers", "normalize",
			"batch norm backward: sums of this worker", "batch norm backward: sums of all workers", "batch norm backward"} {
			if steps[name] != norms {
				t.Errorf("%s: %d times, want %d", name, steps[name], norms)
			}
		}
		for _, name := range []string{"sum over workers", "normalize: sums", "normalize: gradient by x", "batch statistics: gradient", "batch statistics"} {
			if steps[name] != 0 {
				t.Errorf("%s: %d times, want it fused", name, steps[name])
			}
		}
		return x.Close()
	})
}

// A worker that is lost ends the segment of the others, with the collective's own error.
func TestALostWorkerEndsARun(t *testing.T) {
	tc := of(op.BatchStatistics{Workers: 2}, n(4, 8, 2, 2))
	e := newEngine(t)
	errs := collectivetest.Each(2, func(w collective.Collective) error {
		p := tc.Alone(t)
		p.Workers = within(t, w)
		x, err := e.Compile(p)
		if err != nil {
			return err
		}
		defer x.Close()
		if w.Rank() == 1 {
			return nil
		}
		_, err = x.Run(0, engine.NewTensor(4, 8, 2, 2))
		return err
	})
	if lost, ok := errors.AsType[*collectivetest.LostError](errs[0]); !ok || lost.Rank != 1 {
		t.Errorf("error %v, want that worker 1 has left", errs[0])
	}
	if out := run(t, e, of(op.ReLU{}, n(2)).Alone(t), engine.NewTensor(2)); len(out) != 1 {
		t.Error("the engine is of no use after it")
	}
}

// scheduled are a program's steps as every worker must have them: names, and which values they read and write.
func scheduled(t *testing.T, e engine.Engine, c model.Config) []string {
	t.Helper()
	p, err := model.Contrastive(c, 4, optimizer.Config{Kind: "LARS"})
	if err != nil {
		t.Fatal(err)
	}
	p.Workers = within(t, sized{collective.Single{}, c.NormWorkers})
	compiled, err := e.Compile(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	defer compiled.Close()
	x := compiled.(*executable)
	number := map[*value]int{}
	for _, q := range p.Variables {
		number[x.variables[q.Name].now] = len(number)
	}
	var lines []string
	for _, segment := range x.segments {
		for _, s := range segment {
			line := fmt.Sprint(s.name, " ", s.waits)
			for _, v := range slices.Concat(s.in, s.out) {
				if _, ok := number[v]; !ok {
					number[v] = len(number)
				}
				line += fmt.Sprint(" ", number[v], v.shape)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// sized is a collective of so many workers, for what does not exchange.
type sized struct {
	collective.Single
	size int
}

func (s sized) Size() int { return s.size }

// Every worker compiles for itself, and all exchange in the same order: what is compiled is the same each time. Where it were not,
// statistics of one layer would be added to those of another.
func TestCompiledTwiceExchangesInTheSameOrder(t *testing.T) {
	e := newEngine(t)
	for name, c := range map[string]model.Config{
		"ResNet-18":         {Depth: 18},
		"selective kernels": {Depth: 50, SelectiveKernel: "Enabled"},
	} {
		t.Run(name, func(t *testing.T) {
			c.Width, c.Shortcut, c.Initialization, c.ImageSize, c.Dimension, c.OutputShift, c.NormWorkers = 0.25, "Torchvision", "PyTorch", 16, 32, true, 2
			want := scheduled(t, e, c)
			if n := len(slices.DeleteFunc(slices.Clone(want), func(s string) bool { return !strings.Contains(s, " true") })); n < 2*20 {
				t.Fatalf("%d exchanges only", n)
			}
			for range 4 {
				if d := cmp.Diff(want, scheduled(t, e, c)); d != "" {
					t.Fatal(d)
				}
			}
		})
	}
}
