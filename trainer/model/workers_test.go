package model

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/collective/collectivetest"
	ntxent "github.com/simclr-operator/simclr-operator/trainer/contrastive"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// exchanged breaks what a worker's graph is given of others', where it is not nil.
type exchanged func(segment int, all [][]float64, rank int) [][]float64

// exchange is a worker's; segment is the one that runs.
type exchange struct {
	collective.Within
	segment int
	broken  exchanged
}

func (e *exchange) Gather(local []float64) ([][]float64, error) {
	all, err := e.Within.Gather(local)
	if err == nil && e.broken != nil {
		all = e.broken(e.segment, all, e.Rank())
	}
	return all, err
}

// rowsOf the views of a worker, or of their values: of all first views, then all second, its own of each.
func rowsOf(all interp.Array, rank, size int) interp.Array {
	half := len(all.V) / 2
	n := half / size
	own := slices.Concat(all.V[rank*n:(rank+1)*n], all.V[half+rank*n:half+(rank+1)*n])
	return interp.Array{Shape: append([]int{all.Shape[0] / size}, all.Shape[1:]...), V: own}
}

// step64 is one step of plain SGD with rate 1, in its six parts, of all workers on a batch of four images, wholly in float64:
// by how much each parameter moves, and the running statistics after it. scale is the gradients' sums', 1 where nothing is broken.
func step64(t *testing.T, c Config, workers int, scale float64, broken exchanged) map[string][]float64 {
	t.Helper()
	const images = 4
	views := interp.Zeros(2*images, 3, c.ImageSize, c.ImageSize)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range views.V {
		views.V[i] = r.Float64()
	}
	if workers > 1 {
		c.NormWorkers = workers
	}
	all := make([]map[string][]float64, workers)
	collectivetest.Run(t, workers, func(w collective.Collective) (err error) {
		s := &stepOf64{e: exchange{collective.Within{Collective: w, Context: t.Context()}, 0, broken}, scale: scale}
		all[w.Rank()], err = s.run(c, images/workers, views)
		return err
	})
	for rank := range all {
		for name, v := range all[rank] {
			for i := range v {
				if math.Float64bits(v[i]) != math.Float64bits(all[0][name][i]) {
					t.Fatalf("%s is not the same on workers 0 and %d", name, rank)
				}
			}
		}
	}
	return all[0]
}

// stepOf64 is one worker's.
type stepOf64 struct {
	e     exchange
	scale float64
	net   *interp.Executable
}

func (s *stepOf64) segment(at int, feeds ...interp.Array) ([]interp.Array, error) {
	s.e.segment = at
	return s.net.Run64(at, feeds...)
}

func (s *stepOf64) run(c Config, images int, views interp.Array) (map[string][]float64, error) {
	p, err := Contrastive(c, images, optimizer.Config{Kind: "Plain"})
	if err != nil {
		return nil, err
	}
	p.Workers = &s.e
	if s.net, err = interp.New(p.Program); err != nil {
		return nil, err
	}
	before := map[string][]float64{}
	for _, q := range p.Parameters {
		if err := s.net.Set(q.Name, q.Draw(1)); err != nil {
			return nil, err
		}
		before[q.Name] = slices.Clone(s.net.Variable(q.Name))
	}
	grads, err := s.gradients(views)
	if err != nil {
		return nil, err
	}
	if _, err := s.segment(Update, append([]interp.Array{one}, grads...)...); err != nil {
		return nil, err
	}
	after := map[string][]float64{}
	for _, v := range p.Variables {
		after[v.Name] = slices.Clone(s.net.Variable(v.Name))
		for i, b := range before[v.Name] {
			after[v.Name][i] -= b
		}
	}
	return after, nil
}

// gradients are everybody's, summed.
func (s *stepOf64) gradients(views interp.Array) ([]interp.Array, error) {
	rank, size := s.e.Rank(), s.e.Size()
	own, err := s.segment(Forward, rowsOf(views, rank, size))
	if err != nil {
		return nil, err
	}
	gathered, err := s.e.Within.Gather(own[0].V)
	if err != nil {
		return nil, err
	}
	z := interp.Zeros(views.Shape[0], own[0].Shape[1])
	half := len(own[0].V) / 2
	for at, theirs := range gathered {
		copy(z.V[at*half:], theirs[:half])
		copy(z.V[len(z.V)/2+at*half:], theirs[half:])
	}
	dz := interp.Array{Shape: z.Shape, V: ntxent.Gradient(z.V, z.Shape[0], 0.5)}
	grads, err := s.segment(Backward, rowsOf(dz, rank, size))
	if err != nil {
		return nil, err
	}
	for i, g := range grads {
		grads[i].V = slices.Clone(g.V) // two parameters can have one gradient: β of a block's last batch norm, and its shortcut's
		if err := engine.SumOverWorkers(&s.e.Within, grads[i].V); err != nil {
			return nil, err
		}
		for k := range grads[i].V {
			grads[i].V[k] *= s.scale
		}
	}
	return grads, nil
}

// apart is how far two steps are apart at most, of a tensor's largest value.
func apart(a, b map[string][]float64) (name string, by float64) {
	for n := range a {
		d, largest := 0., 1e-30
		for i := range a[n] {
			d, largest = max(d, math.Abs(a[n][i]-b[n][i])), max(largest, math.Abs(a[n][i]))
		}
		if !(d/largest < by) {
			name, by = n, d/largest
		}
	}
	return name, by
}

// One, two and four workers at the same global batch take the same step, where batch norm is over all of them.
func TestWorkersTakeTheSameStep(t *testing.T) {
	for name, c := range tinies() {
		t.Run(name, func(t *testing.T) {
			want := step64(t, c, 1, 1, nil)
			for _, workers := range []int{2, 4} {
				if name, by := apart(want, step64(t, c, workers, 1, nil)); !(by < 1e-9) {
					t.Errorf("%d workers: %s differs by %.1e of its largest value", workers, name, by)
				}
			}
		})
	}
}

// The test above sees what can be wrong with it.
func TestABrokenStepOfWorkersIsSeen(t *testing.T) {
	const workers = 2
	want := step64(t, tiny, 1, 1, nil)
	own := func(all [][]float64, rank int) [][]float64 { return [][]float64{all[rank]} }
	for name, tc := range map[string]struct {
		scale  float64
		broken exchanged
	}{
		"the gradients' mean":      {scale: 1. / workers},
		"gradients added up twice": {scale: workers},
		"statistics' gradients of one worker only": {1, func(segment int, all [][]float64, rank int) [][]float64 {
			if segment == Backward {
				return own(all, rank)
			}
			return all
		}},
		"statistics' gradients as a mean": {1, func(segment int, all [][]float64, _ int) [][]float64 {
			if segment == Backward {
				for _, theirs := range all {
					for i := range theirs {
						theirs[i] /= workers
					}
				}
			}
			return all
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, by := apart(want, step64(t, tiny, workers, tc.scale, tc.broken)); by < 1e-2 {
				t.Errorf("differs by %.1e only", by)
			}
		})
	}
}
