package optimizer_test

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/interp"
	"github.com/simclr-operator/simclr-operator/trainer/op/optest"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// stepper is the update of one parameter w on the interpreter.
type stepper struct {
	t *testing.T
	x *interp.Executable
}

func build(c optimizer.Config, role optimizer.Role) (*interp.Executable, error) {
	g := gorgonia.NewGraph()
	w, grad, lr := optest.Input(g, "w", 2), optest.Input(g, "gradient", 2), optest.Input(g, "lr", 1)
	vars, err := c.Update(g, []optimizer.Parameter{{Name: "w", Role: role, Node: w, Grad: grad}}, lr)
	if err != nil {
		return nil, err
	}
	return interp.New(engine.Program{Graph: g, Variables: vars, Segments: []engine.Segment{
		{Name: "update", Feeds: gorgonia.Nodes{lr, grad}, Updates: true},
	}})
}

func (s stepper) step(lr float64, grad ...float64) {
	s.t.Helper()
	_, err := s.x.Run64(0, interp.Array{Shape: []int{1}, V: []float64{lr}}, interp.Array{Shape: []int{2}, V: grad})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Two steps of known numbers: w = (3, 4), ‖w‖ = 5, the gradients (0.6, 0.8) and (0, 1) of norm 1,
// momentum 0.5, learning rates 0.1 and 0.2.
func TestUpdates(t *testing.T) {
	const eta = 0.001 // trust coefficient
	lars := optimizer.Config{Kind: "LARS", Momentum: 0.5}
	decayed := optimizer.Config{Kind: "LARS", Momentum: 0.5, WeightDecay: 0.2}
	nesterov := optimizer.Config{Kind: "SGD", Momentum: 0.5, WeightDecay: 0.2}
	// LARS without decay: trust 5η, so v = 0.1·5η·g; then trust ‖w‖η
	v1 := []float64{0.1 * 5 * eta * 0.6, 0.1 * 5 * eta * 0.8}
	w1 := []float64{3 - v1[0], 4 - v1[1]}
	trust2 := eta * math.Hypot(w1[0], w1[1])
	v2 := []float64{0.5 * v1[0], 0.5*v1[1] + 0.2*trust2}
	// with decay, g + 0.2·w = (1.2, 1.6), of norm 2: trust 5η/2
	d1 := []float64{0.1 * 2.5 * eta * 1.2, 0.1 * 2.5 * eta * 1.6}
	x1 := []float64{3 - d1[0], 4 - d1[1]}
	g2 := []float64{0.2 * x1[0], 1 + 0.2*x1[1]}
	trustD := eta * math.Hypot(x1[0], x1[1]) / math.Hypot(g2[0], g2[1])
	d2 := []float64{0.5*d1[0] + 0.2*trustD*g2[0], 0.5*d1[1] + 0.2*trustD*g2[1]}
	// neither decay nor trust: v = lr·g, then 0.5·v + lr·g, the learning rate inside the velocity
	plainV := []float64{0.5 * 0.06, 0.5*0.08 + 0.2}
	plainW := []float64{3 - 0.06 - plainV[0], 4 - 0.08 - plainV[1]}
	// Nesterov with decay: v = g + 0.2·w = (1.2, 1.6); w −= 0.1·1.5·v
	n1 := []float64{3 - 0.15*1.2, 4 - 0.15*1.6}
	ng := []float64{0.2 * n1[0], 1 + 0.2*n1[1]}
	nv := []float64{0.5*1.2 + ng[0], 0.5*1.6 + ng[1]}
	// without: v = g
	mv := []float64{0.3, 1.4}
	for name, tc := range map[string]struct {
		c            optimizer.Config
		role         optimizer.Role
		wantW, wantV []float64
	}{
		"LARS":                        {lars, optimizer.Weight, []float64{w1[0] - v2[0], w1[1] - v2[1]}, v2},
		"LARS with decay":             {decayed, optimizer.Weight, []float64{x1[0] - d2[0], x1[1] - d2[1]}, d2},
		"LARS of batch norm":          {decayed, optimizer.Norm, plainW, plainV},
		"LARS of a bias":              {decayed, optimizer.Bias, plainW, plainV},
		"LARS of the supervised head": {decayed, optimizer.SupervisedHead, plainW, plainV},
		"Nesterov with decay": {nesterov, optimizer.Weight,
			[]float64{n1[0] - 0.2*(ng[0]+0.5*nv[0]), n1[1] - 0.2*(ng[1]+0.5*nv[1])}, nv},
		"Nesterov of the supervised head": {nesterov, optimizer.SupervisedHead,
			[]float64{n1[0] - 0.2*(ng[0]+0.5*nv[0]), n1[1] - 0.2*(ng[1]+0.5*nv[1])}, nv},
		"Nesterov of a bias": {nesterov, optimizer.Bias,
			[]float64{3 - 0.15*0.6 - 0.2*0.5*mv[0], 4 - 0.15*0.8 - 0.2*(1+0.5*mv[1])}, mv},
		"Nesterov of batch norm": {nesterov, optimizer.Norm,
			[]float64{3 - 0.15*0.6 - 0.2*0.5*mv[0], 4 - 0.15*0.8 - 0.2*(1+0.5*mv[1])}, []float64{0.3, 1.4}},
		"plain": {optimizer.Config{Kind: "Plain", Momentum: 0.5, WeightDecay: 0.2}, optimizer.Weight, []float64{3 - 0.06, 4 - 0.08 - 0.2}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := build(tc.c, tc.role)
			if err != nil {
				t.Fatal(err)
			}
			s := stepper{t, x}
			copy(x.Variable("w"), []float64{3, 4})
			s.step(0.1, 0.6, 0.8)
			s.step(0.2, 0, 1)
			if diff := cmp.Diff(tc.wantW, x.Variable("w"), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("w (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantV, x.Variable(optimizer.MomentumName("w")), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("velocity (-want +got):\n%s", diff)
			}
		})
	}
}

// Where a norm is 0 the trust ratio is 1.
func TestLARSOfZeroNorms(t *testing.T) {
	for name, tc := range map[string]struct {
		w, grad, want []float64
	}{
		"no gradient":          {[]float64{3, 4}, []float64{0, 0}, []float64{3, 4}},
		"a parameter of zeros": {[]float64{0, 0}, []float64{1, 2}, []float64{-0.1, -0.2}},
		"both":                 {[]float64{0, 0}, []float64{0, 0}, []float64{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := build(optimizer.Config{Kind: "LARS", Momentum: 0.9}, optimizer.Weight)
			if err != nil {
				t.Fatal(err)
			}
			copy(x.Variable("w"), tc.w)
			stepper{t, x}.step(0.1, tc.grad...)
			if diff := cmp.Diff(tc.want, x.Variable("w"), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
				t.Errorf("w (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownOptimizer(t *testing.T) {
	_, err := build(optimizer.Config{Kind: "Adam"}, optimizer.Weight)
	if err == nil || !strings.Contains(err.Error(), `update of w: no optimizer "Adam"`) {
		t.Errorf("error %v", err)
	}
}
