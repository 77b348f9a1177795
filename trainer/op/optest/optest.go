// Package optest has graphs of few operators, operands for them, and how far results are from what is wanted, for tests.
package optest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// Operand of a Case.
type Operand struct {
	Shape []int
	value func(r *rand.Rand, i int) float64
}

// Normal has values of the standard normal distribution.
func Normal(shape ...int) Operand {
	return Operand{shape, func(r *rand.Rand, _ int) float64 { return r.NormFloat64() }}
}

// Statistics (2, C) are a mean, and a variance well above 0, of each channel.
func Statistics(channels int) Operand {
	return Operand{[]int{2, channels}, func(r *rand.Rand, i int) float64 {
		if i < channels {
			return r.NormFloat64()
		}
		return 0.5 + r.Float64()
	}}
}

// Labels (N) are ids of three classes.
func Labels(images int) Operand {
	return Operand{[]int{images}, func(r *rand.Rand, _ int) float64 { return float64(r.IntN(3)) }}
}

// Draw values, as many as the shape has.
func (o Operand) Draw(r *rand.Rand) []float64 {
	v := make([]float64, engine.Size(o.Shape))
	for i := range v {
		v[i] = o.value(r, i)
	}
	return v
}

// Case is an operator with its operands.
type Case struct {
	Op op.Operator
	In []Operand
}

// Of an operator and its operands.
func Of(o op.Operator, in ...Operand) Case { return Case{o, in} }

// Alone is a program of one segment, which is the operator: the operands are fed, its result is fetched.
func (c Case) Alone(t testing.TB) engine.Program {
	t.Helper()
	g := gorgonia.NewGraph()
	var in gorgonia.Nodes
	for i, o := range c.In {
		in = append(in, Input(g, fmt.Sprint("in", i), o.Shape...))
	}
	return engine.Program{Graph: g, Segments: []engine.Segment{{Name: "alone", Feeds: in, Fetches: gorgonia.Nodes{Apply(t, c.Op, in...)}}}}
}

// Input is a node of a graph that is fed.
func Input(g *gorgonia.ExprGraph, name string, shape ...int) *gorgonia.Node {
	return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

// Apply an operator to its operands' nodes.
func Apply(t testing.TB, o op.Operator, in ...*gorgonia.Node) *gorgonia.Node {
	t.Helper()
	y, err := op.Apply(o, in...)
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// Far is the largest difference, relative to the largest value wanted; infinite where one of two is no number.
func Far[T float32 | float64](got, want []T) float64 {
	worst, largest := 0., 1e-30
	for i, w := range want {
		if math.IsNaN(float64(got[i])) != math.IsNaN(float64(w)) {
			return math.Inf(1)
		}
		worst, largest = max(worst, math.Abs(float64(got[i])-float64(w))), max(largest, math.Abs(float64(w)))
	}
	return worst / largest
}

// Cosine of the angle between two vectors.
func Cosine[T float32 | float64](a, b []T) float64 {
	ab, aa, bb := 0., 1e-60, 1e-60
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	return ab / math.Sqrt(aa*bb)
}

// Views (2·images, 3, size, size) of images, of values in [0, 1): the same ones at every call.
func Views(images, size int) engine.Tensor {
	v := engine.NewTensor(2*images, 3, size, size)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range v.Data {
		v.Data[i] = r.Float32()
	}
	return v
}
