package model

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// labelled is a supervised program on the interpreter with a batch of labelled images.
type labelled struct {
	t              *testing.T
	p              *SupervisedProgram
	x              *interp.Executable
	f              v1alpha1.Features
	images, labels interp.Array
}

const labelledImages, labelledClasses = 4, 3

// representations that a classifier may see.
var representations = []v1alpha1.Features{v1alpha1.FeaturesEncoder, v1alpha1.FeaturesHeadFirstLayer, v1alpha1.FeaturesProjection}

func newLabelled(t *testing.T, f v1alpha1.Features, frozen bool) *labelled {
	t.Helper()
	c := tiny
	c.Representation = f
	p, err := Supervised(c, labelledImages, labelledClasses, frozen, optimizer.Config{Kind: "SGD", Momentum: 0.9})
	if err != nil {
		t.Fatal(err)
	}
	x, err := interp.New(p.Program.Program)
	if err != nil {
		t.Fatal(err)
	}
	l := &labelled{t, p, x, f, interp.Zeros(labelledImages, 3, 8, 8), interp.Zeros(labelledImages)}
	setFirstValues(t, x, &p.Program)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range l.images.V {
		l.images.V[i] = r.Float64()
	}
	for i := range l.labels.V {
		l.labels.V[i] = float64(i % labelledClasses)
	}
	// a classifier of zeros passes no gradient back
	for i, w := 0, x.Variable("fc.weight"); i < len(w); i++ {
		w[i] = r.NormFloat64()
	}
	return l
}

// setFirstValues gives parameters their first values, and running statistics any mean and variance.
func setFirstValues(t *testing.T, x *interp.Executable, p *Program) {
	t.Helper()
	for _, q := range p.Parameters {
		if err := x.Set(q.Name, q.Draw(1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range p.Statistics {
		v := x.Variable(RunningName(s.Name))
		for i := range v {
			if v[i] = 0.1 * float64(i); i >= s.Channels {
				v[i] = 0.5 + 0.1*float64(i)
			}
		}
	}
}

// run gives the loss, the logits and the gradients.
func (l *labelled) run() []interp.Array {
	l.t.Helper()
	out, err := l.x.Run64(LossAndGradients, l.images, l.labels, one)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// everything is a copy of all parameters and running statistics.
func (l *labelled) everything() map[string][]float64 {
	m := map[string][]float64{}
	for _, v := range l.p.Variables {
		m[v.Name] = append([]float64{}, l.x.Variable(v.Name)...)
	}
	return m
}

// eachSupervised is linear evaluation and finetuning on every representation.
func eachSupervised(t *testing.T, f func(t *testing.T, l *labelled, frozen bool)) {
	for name, frozen := range map[string]bool{"linear evaluation": true, "finetuning": false} {
		for _, r := range representations {
			t.Run(name+" on "+string(r), func(t *testing.T) { f(t, newLabelled(t, r, frozen), frozen) })
		}
	}
}

func TestSupervisedGradientsAgainstCentralDifferences(t *testing.T) {
	eachSupervised(t, func(t *testing.T, l *labelled, _ bool) {
		grads := l.run()[2:]
		for i, p := range l.p.Trained {
			w := l.x.Variable(p.Name)
			for k := 0; k < len(w); k += 1 + len(w)/2 {
				const h = 1e-5
				kept := w[k]
				w[k] = kept + h
				up := l.run()[0].V[0]
				w[k] = kept - h
				down := l.run()[0].V[0]
				w[k] = kept
				if got, want := grads[i].V[k], (up-down)/(2*h); math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
					t.Errorf("gradient of %s[%d] is %v, central difference %v", p.Name, k, got, want)
				}
			}
		}
	})
}

// In linear evaluation a step changes the classifier alone; in finetuning everything, the layers of the head
// before the classifier too. A constant stays one.
func TestWhatAStepChanges(t *testing.T) {
	eachSupervised(t, func(t *testing.T, l *labelled, frozen bool) {
		parts := map[string]bool{}
		before := l.everything()
		grads := l.run()[2:]
		if _, err := l.x.Run64(SupervisedUpdate, append([]interp.Array{one}, grads...)...); err != nil {
			t.Fatal(err)
		}
		for variable, now := range l.everything() {
			name := strings.TrimPrefix(variable, "momentum:")
			parts[strings.Split(name, ".")[0]] = true
			classifier := strings.HasPrefix(name, "fc.")
			if changed := !cmp.Equal(before[variable], now); changed != (classifier || !frozen) {
				t.Errorf("%s changed: %v", variable, changed)
			}
		}
		if got, want := parts["projection"], l.f != v1alpha1.FeaturesEncoder; got != want {
			t.Errorf("the projection head is part of it: %v", got)
		}
	})
}

// A batch's running statistics move a tenth of the way to its own mean and unbiased variance.
func TestRunningStatistics(t *testing.T) {
	// what the first batch norm sees: conv1's result, for known weights a multiple of the images
	r := newReference(t, tiny)
	const running = "bn1.running"
	w := r.net.Variable("conv1.weight")
	clear(w)
	out := len(w) / 27
	for o := range out {
		w[o*27+4] = float64(o + 1) // the middle of the first channel's 3×3
	}
	copy(r.net.Variable(running), []float64{5, 6, 7, 8}[:2*out])
	_, dz := r.loss()
	r.run(r.net, Update, append([]interp.Array{{Shape: []int{1}, V: []float64{0}}}, r.run(r.net, Backward, dz)...)...)
	mean, variance, n := 0., 0., 2*tinyImages*64
	red := func(f func(v float64)) {
		for i := range 2 * tinyImages {
			for _, v := range r.views.V[i*192 : i*192+64] {
				f(v)
			}
		}
	}
	red(func(v float64) { mean += v / float64(n) })
	red(func(v float64) { variance += (v - mean) * (v - mean) / float64(n-1) })
	want := make([]float64, 2*out)
	for o := range out {
		s := float64(o + 1)
		want[o], want[out+o] = 0.9*[]float64{5, 6, 7, 8}[o]+0.1*s*mean, 0.9*[]float64{5, 6, 7, 8}[out+o]+0.1*s*s*variance
	}
	if diff := cmp.Diff(want, r.net.Variable(running), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("running statistics (-want +got):\n%s", diff)
	}
	if got, want := len(r.p.Statistics), 20+2; got != want {
		t.Errorf("%d batch norms, want %d: ResNet-18's 20 and the head's 2", got, want)
	}
}

// In inference mode an image's features depend on the running statistics and on no other image; the
// classifier's logits in linear evaluation are inference's.
func TestInference(t *testing.T) {
	for _, f := range representations {
		t.Run(string(f), func(t *testing.T) {
			l := newLabelled(t, f, true)
			want := l.run()[1]
			c := tiny
			c.Representation = f
			p, err := Inference(c, 1, labelledClasses)
			if err != nil {
				t.Fatal(err)
			}
			x, err := interp.New(p.Program)
			if err != nil {
				t.Fatal(err)
			}
			setFirstValues(t, x, p)
			copy(x.Variable("fc.weight"), l.x.Variable("fc.weight"))
			for i := range labelledImages {
				out, err := x.Run64(0, interp.Array{Shape: []int{1, 3, 8, 8}, V: l.images.V[i*192 : (i+1)*192]})
				if err != nil {
					t.Fatal(err)
				}
				if got, want := len(out[0].V), c.RepresentationSize(); got != want {
					t.Errorf("%d features, want %d", got, want)
				}
				if diff := cmp.Diff(want.V[i*labelledClasses:(i+1)*labelledClasses], out[1].V, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
					t.Errorf("logits of image %d alone (-in the batch +alone):\n%s", i, diff)
				}
			}
		})
	}
}

// h, what the first layer gives and z are the same network's: z follows from h by the head's weights.
func TestRepresentationsAreOfOneNetwork(t *testing.T) {
	values := map[v1alpha1.Features][]float64{}
	r := newLabelled(t, v1alpha1.FeaturesEncoder, true)
	for _, f := range representations {
		c := tiny
		c.Representation, c.Smooth = f, false
		p, err := Inference(c, 1, 0)
		if err != nil {
			t.Fatal(err)
		}
		x, err := interp.New(p.Program)
		if err != nil {
			t.Fatal(err)
		}
		setFirstValues(t, x, p)
		out, err := x.Run64(0, interp.Array{Shape: []int{1, 3, 8, 8}, V: r.images.V[:192]})
		if err != nil {
			t.Fatal(err)
		}
		values[f] = out[0].V
		if f == v1alpha1.FeaturesProjection {
			hidden := headLayer(x, "projection.0", "projection.1", values[v1alpha1.FeaturesEncoder], true)
			z := headLayer(x, "projection.3", "projection.4", hidden, false)
			for what, pair := range map[string][2][]float64{"first layer": {hidden, values[v1alpha1.FeaturesHeadFirstLayer]}, "z": {z, values[f]}} {
				if diff := cmp.Diff(pair[0], pair[1], cmpopts.EquateApprox(1e-12, 1e-12)); diff != "" {
					t.Errorf("%s (-by hand +graph):\n%s", what, diff)
				}
			}
		}
	}
}

// headLayer is dense and batch norm in inference mode, and ReLU, of one image, as the reference writes them.
func headLayer(x *interp.Executable, dense, norm string, in []float64, relu bool) []float64 {
	w, gamma, running, beta := x.Variable(dense+".weight"), x.Variable(norm+".weight"), x.Variable(norm+".running"), x.Variable(norm+".bias")
	out := make([]float64, len(gamma))
	for o := range out {
		for i, v := range in {
			out[o] += w[o*len(in)+i] * v
		}
		out[o] = gamma[o]*(out[o]-running[o])/math.Sqrt(running[len(out)+o]+1e-5) + beta[o]
		if relu {
			out[o] = max(out[o], 0)
		}
	}
	return out
}
