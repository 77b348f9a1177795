package evaluate

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjectiveAgainstItsFormula(t *testing.T) {
	// two rows, one feature, two classes: mean of −log softmax, plus decay·Σw²
	f := newObjective([]float64{1, -2}, 1, []int{0, 1}, 2, 0.1)
	w0, w1, b0, b1 := 0.3, -0.4, 0.2, 0.1
	row := func(x float64, label int) float64 {
		z := []float64{w0*x + b0, w1*x + b1}
		return math.Log(math.Exp(z[0])+math.Exp(z[1])) - z[label]
	}
	want := (row(1, 0)+row(-2, 1))/2 + 0.1*(w0*w0+w1*w1)
	if got := f.value([]float64{w0, w1, b0, b1}); math.Abs(got-want) > 1e-14 {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestObjectiveGradientAgainstCentralDifferences(t *testing.T) {
	x, labels := random(1, 40, 6, 4)
	c := &LinearClassifier{}
	c.Mean, c.Deviation = moments(x)
	f := newObjective(c.standardise(x), 6, labels, 4, 0.01)
	r := rand.New(rand.NewPCG(5, 6))
	theta := make([]float64, 4*7)
	for i := range theta {
		theta[i] = r.NormFloat64()
	}
	grad := make([]float64, len(theta))
	f.gradient(grad, theta)
	for i := range theta {
		const h = 1e-5
		kept := theta[i]
		theta[i] = kept + h
		up := f.value(theta)
		theta[i] = kept - h
		down := f.value(theta)
		theta[i] = kept
		if want := (up - down) / (2 * h); math.Abs(grad[i]-want) > 1e-8 {
			t.Errorf("θ[%d]: gradient %v, central difference %v", i, grad[i], want)
		}
	}
}

// Two balanced classes on one standardised feature x = ±a: by symmetry the weights are ∓u and the biases
// 0, and u is the root of dL/du = −2a·σ(−2au)·… written out below, found by bisection.
func TestFitAgainstAProblemSolvedByHand(t *testing.T) {
	x := Matrix{4, 1, []float32{-1, -1, 1, 1}}
	labels := []int{0, 1, 1, 1}
	// standardised: mean 0, unbiased deviation √(4/3)
	a := 1 / (math.Sqrt(4./3) + 1e-6)
	const decay = 0.05
	// with the weights (−u, u) and biases (−b, b) the margin of a row is 2(ux + b)
	sigma := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	slopes := func(u, b float64) (du, db float64) { // of ¼ Σ log(1+exp(−y·margin)) + 2·decay·u²
		for i, at := range []float64{-a, -a, a, a} {
			y := 2*float64(labels[i]) - 1
			s := -y * sigma(-y*2*(u*at+b)) * 2 / 4
			du += s * at
			db += s
		}
		return du + 4*decay*u, db
	}
	bisect := func(f func(float64) float64) float64 {
		low, high := -20., 20.
		for range 100 {
			if mid := (low + high) / 2; f(mid) < 0 {
				low = mid
			} else {
				high = mid
			}
		}
		return (low + high) / 2
	}
	best := func(u float64) float64 { return bisect(func(b float64) float64 { _, db := slopes(u, b); return db }) }
	u := bisect(func(u float64) float64 { du, _ := slopes(u, best(u)); return du })
	c, err := LBFGS{Classes: 2, MaxIterations: 300, WeightDecay: decay}.Fit(t.Context(), x, labels)
	if err != nil {
		t.Fatal(err)
	}
	near := func(name string, got, want float64) {
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	near("weight 0", c.Weight[0], -u)
	near("weight 1", c.Weight[1], u)
	near("bias difference", c.Bias[1]-c.Bias[0], 2*best(u))
}

func TestFitFindsTheMinimumAndIsDeterministic(t *testing.T) {
	x, labels := random(1, 1000, 20, 5)
	var seen []int
	o := LBFGS{Classes: 5, MaxIterations: 300, WeightDecay: 1e-4, Progress: func(i int, _ float64) { seen = append(seen, i) }}
	c, err := o.Fit(t.Context(), x, labels)
	if err != nil {
		t.Fatal(err)
	}
	f := newObjective(c.standardise(x), 20, labels, 5, 1e-4)
	grad := make([]float64, 5*21)
	f.gradient(grad, append(append([]float64{}, c.Weight...), c.Bias...))
	for i, g := range grad {
		if math.Abs(g) > 1e-5 {
			t.Errorf("gradient[%d] is %.1e at the end", i, g)
		}
	}
	// the last iteration may end without a lower point
	if len(seen) < c.Iterations-1 || seen[0] != 1 || seen[len(seen)-1] != len(seen) {
		t.Errorf("progress told of the iterations %v of %d", seen, c.Iterations)
	}
	again, err := o.Fit(t.Context(), x, labels)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, again); d != "" {
		t.Error(d)
	}
	test, wanted := random(2, 500, 20, 5)
	var a Accuracy
	if a.AddLogits(c.Logits(test), wanted); a.Top1 < 400 || a.Top5 != 500 {
		t.Errorf("%+v: the data are clusters", a)
	}
}

func TestFitStopsAtMaxIterations(t *testing.T) {
	x, labels := random(1, 200, 20, 5)
	c, err := LBFGS{Classes: 5, MaxIterations: 3, WeightDecay: 1e-4}.Fit(t.Context(), x, labels)
	if err != nil {
		t.Fatal(err)
	}
	if c.Iterations != 3 {
		t.Errorf("%d iterations, want 3", c.Iterations)
	}
}

func TestFitOfAConstantFeature(t *testing.T) {
	x := Matrix{4, 2, []float32{1, 0, 1, 0, 1, 1, 1, 1}}
	c, err := LBFGS{Classes: 2, MaxIterations: 100, WeightDecay: 1e-4}.Fit(t.Context(), x, []int{0, 0, 1, 1})
	if err != nil {
		t.Fatal(err)
	}
	var a Accuracy
	if a.AddLogits(c.Logits(x), []int{0, 0, 1, 1}); a.Top1 != 4 {
		t.Errorf("%+v", a)
	}
}

func TestFitRefusesWhatIsNotFinite(t *testing.T) {
	x := Matrix{2, 1, []float32{1, float32(math.NaN())}}
	if _, err := (LBFGS{Classes: 2, MaxIterations: 3}).Fit(t.Context(), x, []int{0, 1}); err == nil {
		t.Error("no error")
	}
}

func TestFitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	x, labels := random(1, 200, 20, 5)
	o := LBFGS{Classes: 5, MaxIterations: 300, Progress: func(i int, _ float64) {
		if i == 2 {
			cancel()
		}
	}}
	if _, err := o.Fit(ctx, x, labels); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
