package model

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// Parameter is a weight of a network: its name (torchvision's for the encoder), shape, role and first
// value.
type Parameter struct {
	Name  string
	Shape []int
	Role  optimizer.Role
	Init  Init
	node  *gorgonia.Node
}

// Statistics are a batch norm's running mean and bias-corrected variance, a variable of shape (2, C)
// named <layer>.running.
type Statistics struct {
	Name     string // of the batch norm layer
	Channels int
	Shift    bool // β is a parameter, else a constant 0
	running  *gorgonia.Node
	batch    *gorgonia.Node // nil in inference mode
	count    int            // values a channel has in a batch, of all workers that are normalised together
}

// RunningName is the variable that holds a batch norm layer's running statistics.
func RunningName(layer string) string { return layer + ".running" }

// network builds a graph layer by layer. The first error stays; what follows does nothing.
type network struct {
	Config
	g         *gorgonia.ExprGraph
	training  bool // batch statistics, else running ones
	params    []Parameter
	stats     []Statistics
	constants []engine.Variable
	err       error
}

func newNetwork(c Config, training bool) *network {
	return &network{Config: c, g: gorgonia.NewGraph(), training: training}
}

func (n *network) input(name string, shape ...int) *gorgonia.Node {
	return gorgonia.NewTensor(n.g, tensor.Float32, len(shape), gorgonia.WithShape(shape...), gorgonia.WithName(name))
}

// fail notes an error and gives no node.
func (n *network) fail(format string, args ...any) *gorgonia.Node {
	if n.err == nil {
		n.err = fmt.Errorf(format, args...)
	}
	return nil
}

func (n *network) apply(o op.Operator, in ...*gorgonia.Node) *gorgonia.Node {
	if n.err != nil {
		return nil
	}
	y, err := op.Apply(o, in...)
	if err != nil {
		n.err = err
	}
	return y
}

func (n *network) parameter(name string, role optimizer.Role, init Init, shape ...int) *gorgonia.Node {
	p := Parameter{Name: name, Shape: shape, Role: role, Init: init, node: n.input(name, shape...)}
	n.params = append(n.params, p)
	return p.node
}

// conv is a k×k convolution without bias, padded so that only the stride shrinks the image.
func (n *network) conv(x *gorgonia.Node, name string, out, k, stride int) *gorgonia.Node {
	if n.err != nil {
		return nil
	}
	in := x.Shape()[1]
	w := n.parameter(name+".weight", optimizer.Weight, n.convInit(in*k*k), out, in, k, k)
	return n.apply(op.Conv2D{Stride: stride, Pad: k / 2}, x, w)
}

// dense is a layer without bias. first draws its weights' first values for a fan-in.
func (n *network) dense(x *gorgonia.Node, name string, out int, first func(fanIn int) Init) *gorgonia.Node {
	if n.err != nil {
		return nil
	}
	in := x.Shape()[1]
	return n.apply(op.Dense{}, x, n.parameter(name+".weight", optimizer.Weight, first(in), out, in))
}

// batchNorm normalises each channel. gamma is the first value of γ; shift: with β.
func (n *network) batchNorm(x *gorgonia.Node, name string, gamma float32, shift bool) *gorgonia.Node {
	if n.err != nil {
		return nil
	}
	c := x.Shape()[1]
	g := n.parameter(name+".weight", optimizer.Norm, constant(gamma), c)
	var b *gorgonia.Node
	if shift {
		b = n.parameter(name+".bias", optimizer.Norm, constant(0), c)
	} else {
		b = n.input(name+".bias", c)
		n.constants = append(n.constants, engine.Variable{Name: name + ".bias", Node: b})
	}
	s := Statistics{Name: name, Channels: c, Shift: shift, running: n.input(RunningName(name), 2, c), count: engine.Size(x.Shape()) / c}
	used := s.running
	if n.training {
		together := op.BatchStatistics{}
		if n.NormWorkers > 1 {
			together.Workers = n.NormWorkers
			s.count *= n.NormWorkers
		}
		s.batch = n.apply(together, x)
		used = s.batch
	}
	n.stats = append(n.stats, s)
	return n.apply(op.Normalize{Epsilon: epsilon}, x, used, g, b)
}

func (n *network) activate(x *gorgonia.Node) *gorgonia.Node {
	if n.Smooth {
		return n.apply(op.Softplus{}, x)
	}
	return n.apply(op.ReLU{}, x)
}

// running are the running statistics as variables, with their update where batch statistics were
// taken.
func (n *network) running() []engine.Variable {
	vars := make([]engine.Variable, 0, len(n.stats)+len(n.constants))
	for _, s := range n.stats {
		v := engine.Variable{Name: RunningName(s.Name), Node: s.running}
		if s.batch != nil {
			v.Next = n.apply(op.RunningStatistics{Momentum: momentum, Count: s.count}, s.running, s.batch)
		}
		vars = append(vars, v)
	}
	return append(vars, n.constants...)
}
