package optimizer

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// Role is what a parameter is; decay and adaptation go by it, not by its shape.
type Role int

// The roles of parameters.
const (
	Weight         Role = iota // of a convolution or dense layer
	Norm                       // γ or β of batch norm
	Bias                       // of a dense layer
	SupervisedHead             // weight of the linear classifier
)

// adapted: LARS leaves batch norm, biases and the supervised head without adaptation
// (google-research/simclr model.py, exclude_from_weight_decay).
func (r Role) adapted() bool { return r == Weight }

// Config is the optimizer's choice and its constants.
type Config struct {
	Kind        string // LARS, SGD (with Nesterov momentum) or Plain (w − lr·g, for tests)
	Momentum    float64
	WeightDecay float64
}

// trustCoefficient η of LARS (google-research/simclr lars_optimizer.py, EETA_DEFAULT).
const trustCoefficient = 0.001

// Parameter is a parameter with its gradient.
type Parameter struct {
	Name string
	Role Role
	Node *gorgonia.Node
	Grad *gorgonia.Node
}

// MomentumName is the variable that holds a parameter's velocity.
func MomentumName(parameter string) string { return "momentum:" + parameter }

// Update adds one step of the optimizer to the graph: the parameters as variables with their Next, and
// the velocities as variables. lr has the shape (1).
func (c Config) Update(g *gorgonia.ExprGraph, ps []Parameter, lr *gorgonia.Node) ([]engine.Variable, error) {
	var vars []engine.Variable
	for _, p := range ps {
		vs, err := c.one(g, p, lr)
		if err != nil {
			return nil, fmt.Errorf("update of %s: %w", p.Name, err)
		}
		vars = append(vars, vs...)
	}
	return vars, nil
}

func (c Config) one(g *gorgonia.ExprGraph, p Parameter, lr *gorgonia.Node) ([]engine.Variable, error) {
	if c.Kind == "Plain" {
		next, err := op.Apply(op.SGDUpdate{}, p.Node, p.Grad, lr)
		return []engine.Variable{{Name: p.Name, Node: p.Node, Next: next}}, err
	}
	s := p.Node.Shape()
	v := gorgonia.NewTensor(g, tensor.Float32, len(s), gorgonia.WithShape(s...), gorgonia.WithName(MomentumName(p.Name)))
	velocity, next, err := c.step(p, v, lr)
	return []engine.Variable{
		{Name: p.Name, Node: p.Node, Next: next},
		{Name: MomentumName(p.Name), Node: v, Next: velocity},
	}, err
}

func (c Config) step(p Parameter, v, lr *gorgonia.Node) (velocity, next *gorgonia.Node, err error) {
	decay := c.decay(p.Role)
	switch c.Kind {
	case "LARS":
		o := op.LARSVelocity{Momentum: c.Momentum, WeightDecay: decay, TrustCoefficient: trustCoefficient, Exclude: !p.Role.adapted()}
		if velocity, err = op.Apply(o, p.Node, p.Grad, v, lr); err != nil {
			return nil, nil, err
		}
		next, err = op.Apply(op.ApplyVelocity{}, p.Node, velocity)
	case "SGD":
		if velocity, err = op.Apply(op.NesterovVelocity{Momentum: c.Momentum, WeightDecay: decay}, p.Node, p.Grad, v); err != nil {
			return nil, nil, err
		}
		next, err = op.Apply(op.NesterovUpdate{Momentum: c.Momentum, WeightDecay: decay}, p.Node, p.Grad, velocity, lr)
	default:
		err = fmt.Errorf("no optimizer %q", c.Kind)
	}
	return velocity, next, err
}

// decay of a parameter: never of batch norm and biases. The supervised head's exclusion is LARS's alone;
// by SGD it is the only weight of a linear evaluation, and decays.
func (c Config) decay(r Role) float64 {
	if r == Weight || r == SupervisedHead && c.Kind != "LARS" {
		return c.WeightDecay
	}
	return 0
}
