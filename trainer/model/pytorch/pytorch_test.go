package pytorch

import (
	"math"
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
)

// double is the interpreter's executable without rounding to float32.
type double struct {
	*interp.Executable
	p engine.Program
}

func compile(p engine.Program) (Executable, error) {
	x, err := interp.New(p)
	return double{x, p}, err
}

func (d double) Run(segment int, feeds ...[]float64) ([][]float64, error) {
	arrays := make([]interp.Array, len(feeds))
	for i, f := range feeds {
		arrays[i] = interp.Array{Shape: d.p.Segments[segment].Feeds[i].Shape(), V: f}
	}
	out, err := d.Run64(segment, arrays...)
	if err != nil {
		return nil, err
	}
	values := make([][]float64, len(out))
	for i, a := range out {
		values[i] = a.V
	}
	return values, nil
}

func (d double) Get(name string) ([]float64, error) { return d.Variable(name), nil }

// The interpreter, from which every other engine is tested, computes what PyTorch does. h alone is computed from
// weights that were rounded to float32.
func TestInterpreter(t *testing.T) {
	cases, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			differences, err := c.Differences(compile)
			if err != nil {
				t.Fatal(err)
			}
			for name, d := range differences {
				bound := 1e-12
				if name == "h in inference mode" {
					bound = 1e-6
				}
				if !(d < bound) {
					t.Errorf("%s differs by %.1e of its largest value", name, d)
				}
			}
		})
	}
}

// A summary sees every value, and NaN.
func TestSummaryDifference(t *testing.T) {
	v := make([]float64, 1000)
	for i := range v {
		v[i] = float64(i) / 1000
	}
	s := Summary{Values: []float64{0, 0.25, 0.5, 0.75}, Largest: 0.999}
	for i, u := range uniform("product:v", len(v)) {
		s.Product += (2*u - 1) * v[i]
	}
	if d := s.Difference("v", v); !(d < 1e-14) {
		t.Errorf("equal values differ by %.1e", d)
	}
	for name, wrong := range map[string]float64{"a value that is not in the summary": 1, "NaN": math.NaN()} {
		changed := append([]float64{}, v...)
		changed[333] = wrong
		if d := s.Difference("v", changed); d < 1e-4 {
			t.Errorf("%s differs by %.1e", name, d)
		}
	}
}
