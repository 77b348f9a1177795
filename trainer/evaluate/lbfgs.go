package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/optimize"
)

// LBFGS trains a linear classifier on features, deterministically: multinomial logistic regression on
// standardised features. The objective is the mean cross entropy plus WeightDecay·Σw², biases left
// out; it is convex, so that it has one minimum and where the search starts (at zero) does not matter.
type LBFGS struct {
	Classes       int
	MaxIterations int
	WeightDecay   float64
	// Progress is told of each iteration, from 1; it may be nil.
	Progress func(iteration int, loss float64)
}

// LinearClassifier is a standardisation and a linear layer.
type LinearClassifier struct {
	Classes         int
	Mean, Deviation []float64 // of each feature
	Weight          []float64 // (classes, features)
	Bias            []float64
	Loss            float64 // of the objective at the end
	Iterations      int
}

// gradientTolerance ends the search, as in torch.optim.LBFGS: the largest value of the gradient.
const gradientTolerance = 1e-7

// history is how many steps the search remembers.
const history = 50

// Fit trains on rows of features and their class ids. It ends where the gradient vanishes, where no step
// gets lower, or after MaxIterations.
func (o LBFGS) Fit(ctx context.Context, x Matrix, labels []int) (*LinearClassifier, error) {
	if err := x.check(labels, o.Classes); err != nil {
		return nil, err
	}
	c := &LinearClassifier{Classes: o.Classes}
	c.Mean, c.Deviation = moments(x)
	for j, m := range c.Mean {
		if math.IsNaN(m+c.Deviation[j]) || math.IsInf(m+c.Deviation[j], 0) {
			return nil, fmt.Errorf("feature %d is not finite on all images", j)
		}
	}
	f := newObjective(c.standardise(x), x.Columns, labels, o.Classes, o.WeightDecay)
	p := optimize.Problem{Func: f.value, Grad: f.gradient}
	settings := &optimize.Settings{
		MajorIterations:   o.MaxIterations,
		GradientThreshold: gradientTolerance,
		Converger:         &optimize.FunctionConverge{Absolute: 1e-10, Iterations: 10},
		Recorder:          &recorder{ctx: ctx, progress: o.Progress},
	}
	r, err := optimize.Minimize(p, make([]float64, o.Classes*(x.Columns+1)), settings, &optimize.LBFGS{Store: history})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	// no lower point on the line: rounding has the last word, and the best point so far is the minimum
	if err != nil && !errors.Is(err, optimize.ErrLinesearcherFailure) && !errors.Is(err, optimize.ErrNoProgress) {
		return nil, fmt.Errorf("linear evaluation by L-BFGS: %w", err)
	}
	if math.IsNaN(r.F) || math.IsInf(r.F, 0) {
		return nil, fmt.Errorf("linear evaluation by L-BFGS: the loss is %v", r.F)
	}
	split := o.Classes * x.Columns
	c.Weight, c.Bias, c.Loss, c.Iterations = r.X[:split:split], r.X[split:], r.F, r.MajorIterations
	return c, nil
}

// recorder tells of progress and ends the search with its context.
type recorder struct {
	ctx      context.Context
	progress func(int, float64)
}

func (r *recorder) Init() error { return nil }

func (r *recorder) Record(l *optimize.Location, op optimize.Operation, s *optimize.Stats) error {
	if op == optimize.MajorIteration && r.progress != nil && s.MajorIterations > 0 {
		r.progress(s.MajorIterations, l.F)
	}
	return r.ctx.Err()
}

// moments are each feature's mean and unbiased standard deviation plus 1e-6, which keeps a constant
// feature harmless.
func moments(x Matrix) (mean, deviation []float64) {
	mean, deviation = make([]float64, x.Columns), make([]float64, x.Columns)
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			mean[j] += float64(v)
		}
	}
	for j := range mean {
		mean[j] /= float64(x.Rows)
	}
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			d := float64(v) - mean[j]
			deviation[j] += d * d
		}
	}
	for j := range deviation {
		deviation[j] = math.Sqrt(deviation[j]/float64(max(1, x.Rows-1))) + 1e-6
	}
	return mean, deviation
}

func (c *LinearClassifier) standardise(x Matrix) []float64 {
	out := make([]float64, len(x.Data))
	for i := range x.Rows {
		for j, v := range x.Row(i) {
			out[i*x.Columns+j] = (float64(v) - c.Mean[j]) / c.Deviation[j]
		}
	}
	return out
}

// Logits of rows of features: (rows, classes).
func (c *LinearClassifier) Logits(x Matrix) Matrix {
	out := Matrix{x.Rows, c.Classes, make([]float32, x.Rows*c.Classes)}
	s := scores(c.standardise(x), x.Columns, c.Weight, c.Bias)
	for i, v := range s {
		out.Data[i] = float32(v)
	}
	return out
}
