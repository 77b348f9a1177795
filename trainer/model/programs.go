package model

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// Program is an engine program with the network's parameters and statistics.
type Program struct {
	engine.Program
	Parameters []Parameter
	Statistics []Statistics
}

// Segments of a Contrastive program.
const (
	Forward  = iota // views (2N, 3, S, S) → z (2N, D)
	Backward        // dz (2N, D) → the gradient of every parameter, in their order
	Update          // learning rate (1) and the gradients → new parameters, momenta, running statistics
)

// Contrastive is the training step of encoder and projection head for N images: everything of it but
// NT-Xent, which sees all workers' z and is a program of its own.
func Contrastive(c Config, images int, o optimizer.Config) (*Program, error) {
	return contrastive(c, images, o, false)
}

// MicroBatch is Contrastive for a part of a step's images: several such forward and backward passes make
// one update. Forward gives besides z the batch statistics (2, C) of every batch norm, and Update takes
// besides the sums of the gradients the means of those statistics, in the same order.
func MicroBatch(c Config, images int, o optimizer.Config) (*Program, error) {
	return contrastive(c, images, o, true)
}

func contrastive(c Config, images int, o optimizer.Config, part bool) (*Program, error) {
	n := newNetwork(c, !c.RunningNorm)
	views := n.input("views", 2*images, 3, c.ImageSize, c.ImageSize)
	z := n.head(n.encoder(views))
	if n.err != nil {
		return nil, n.err
	}
	dz := n.input("dz", z.Shape()...)
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{z}, gorgonia.Nodes{dz}, n.nodes())
	if err != nil {
		return nil, fmt.Errorf("differentiating the network: %w", err)
	}
	var batch, mean gorgonia.Nodes
	if part {
		batch, mean = n.statisticsOutside()
	}
	p := &Program{Program: engine.Program{Graph: n.g, Precision: c.Precision}, Parameters: n.params, Statistics: n.stats}
	update, err := n.updateBy(p, n.params, o)
	if err != nil {
		return nil, err
	}
	update.Feeds = append(update.Feeds, mean...)
	p.Segments = []engine.Segment{
		{Name: "forward", Feeds: gorgonia.Nodes{views}, Images: gorgonia.Nodes{views}, Fetches: append(gorgonia.Nodes{z}, batch...)},
		{Name: "backward", Feeds: gorgonia.Nodes{dz}, Images: gorgonia.Nodes{dz}, Fetches: grads},
		update,
	}
	return p, n.err
}

// updateBy is the segment that takes the reduced gradients of the trained parameters and steps.
func (n *network) updateBy(p *Program, trained []Parameter, o optimizer.Config) (engine.Segment, error) {
	var grads gorgonia.Nodes
	for _, t := range trained {
		grads = append(grads, n.input("gradient:"+t.Name, t.Shape...))
	}
	lr, err := n.update(p, trained, grads, o)
	return engine.Segment{Name: "update", Feeds: append(gorgonia.Nodes{lr}, grads...), Updates: true}, err
}

// update adds the step of the trained parameters by their gradients, and gives the learning rate's input.
func (n *network) update(p *Program, trained []Parameter, grads gorgonia.Nodes, o optimizer.Config) (*gorgonia.Node, error) {
	lr := n.input("learning rate", 1)
	ps := make([]optimizer.Parameter, len(trained))
	for i, t := range trained {
		ps[i] = optimizer.Parameter{Name: t.Name, Role: t.Role, Node: t.node, Grad: grads[i]}
	}
	vars, err := o.Update(n.g, ps, lr)
	p.Variables = append(append(p.Variables, vars...), n.running()...)
	return lr, err
}

// statisticsOutside lets the running statistics follow batch statistics that are fed, not those of the last
// forward pass, which are fetched instead.
func (n *network) statisticsOutside() (fetched, fed gorgonia.Nodes) {
	for i, s := range n.stats {
		if s.batch == nil {
			continue
		}
		mean := n.input("statistics:"+s.Name, 2, s.Channels)
		fetched, fed = append(fetched, s.batch), append(fed, mean)
		n.stats[i].batch = mean
	}
	return fetched, fed
}

func (n *network) nodes() gorgonia.Nodes {
	ns := make(gorgonia.Nodes, len(n.params))
	for i, p := range n.params {
		ns[i] = p.node
	}
	return ns
}

// NTXent is the loss over all 2N rows of z: feeds z and the loss's gradient, 1; fetches the loss, the
// contrastive accuracy in [0, 1], and dz.
func NTXent(rows, dimension int, temperature float64) (engine.Program, error) {
	n := newNetwork(Config{}, true)
	z, dloss := n.input("z", rows, dimension), n.input("dloss", 1)
	loss := n.apply(op.NTXent{Temperature: temperature}, z)
	accuracy := n.apply(op.ContrastiveAccuracy{}, z)
	if n.err != nil {
		return engine.Program{}, n.err
	}
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{dloss}, gorgonia.Nodes{z})
	if err != nil {
		return engine.Program{}, fmt.Errorf("differentiating NT-Xent: %w", err)
	}
	return engine.Program{Graph: n.g, Segments: []engine.Segment{{
		Name: "ntxent", Feeds: gorgonia.Nodes{z, dloss}, Images: gorgonia.Nodes{z}, Fetches: gorgonia.Nodes{loss, accuracy, grads[0]},
	}}}, nil
}

// Segments of a Supervised program.
const (
	LossAndGradients = iota // images, class ids (N), dloss (1) → loss (1), logits (N, K), gradients
	SupervisedUpdate        // learning rate (1) and the gradients → new parameters
)

// Supervised is the training step of a linear classifier on the network up to Config.Representation.
// Frozen: only the classifier is trained, on the network in inference mode (linear evaluation, paper section
// 2.3); else everything is (finetuning, paper appendix B.5). Parameters has all, Trained those with gradients.
func Supervised(c Config, images, classes int, frozen bool, o optimizer.Config) (*SupervisedProgram, error) {
	n := newNetwork(c, !frozen)
	x, labels, dloss := n.input("images", images, 3, c.ImageSize, c.ImageSize), n.input("labels", images), n.input("dloss", 1)
	h := n.representation(x)
	backbone := len(n.params)
	init := normal(0.01)
	if frozen {
		init = constant(0)
	}
	logits := n.classifier(h, classes, init)
	loss := n.apply(op.SoftmaxCrossEntropy{}, logits, labels)
	if n.err != nil {
		return nil, n.err
	}
	p := &SupervisedProgram{Program: Program{Program: engine.Program{Graph: n.g}, Parameters: n.params, Statistics: n.stats}, Trained: n.params}
	if frozen {
		p.Trained = n.params[backbone:]
		for _, f := range n.params[:backbone] {
			p.Variables = append(p.Variables, engine.Variable{Name: f.Name, Node: f.node})
		}
	}
	wrt := make(gorgonia.Nodes, len(p.Trained))
	for i, t := range p.Trained {
		wrt[i] = t.node
	}
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{dloss}, wrt)
	if err != nil {
		return nil, fmt.Errorf("differentiating the classifier: %w", err)
	}
	update, err := n.updateBy(&p.Program, p.Trained, o)
	p.Segments = []engine.Segment{
		{Name: "loss and gradients", Feeds: gorgonia.Nodes{x, labels, dloss}, Images: gorgonia.Nodes{x, labels}, Fetches: append(gorgonia.Nodes{loss, logits}, grads...)},
		update,
	}
	return p, err
}

// SupervisedProgram is a Program and which of its parameters are trained.
type SupervisedProgram struct {
	Program
	Trained []Parameter
}

// Inference is the network up to Config.Representation in inference mode: images → features
// (N, RepresentationSize), and with classes > 0 logits (N, classes) too.
func Inference(c Config, images, classes int) (*Program, error) {
	n := newNetwork(c, false)
	x := n.input("images", images, 3, c.ImageSize, c.ImageSize)
	h := n.representation(x)
	fetches := gorgonia.Nodes{h}
	if classes > 0 {
		fetches = append(fetches, n.classifier(h, classes, constant(0)))
	}
	p := &Program{Program: engine.Program{Graph: n.g}, Parameters: n.params, Statistics: n.stats}
	for _, q := range n.params {
		p.Variables = append(p.Variables, engine.Variable{Name: q.Name, Node: q.node})
	}
	p.Variables = append(p.Variables, n.running()...)
	p.Segments = []engine.Segment{{Name: "inference", Feeds: gorgonia.Nodes{x}, Images: gorgonia.Nodes{x}, Fetches: fetches}}
	return p, n.err
}

// Encoder are the parameters and statistics of the encoder alone, in torchvision's order.
func Encoder(c Config) ([]Parameter, []Statistics, error) {
	c.Representation = v1alpha1.FeaturesEncoder
	p, err := Inference(c, 1, 0)
	if err != nil {
		return nil, nil, err
	}
	return p.Parameters, p.Statistics, nil
}

// Head are the parameters and statistics of the projection head's layers up to Config.Representation.
func Head(c Config) ([]Parameter, []Statistics, error) {
	p, err := Inference(c, 1, 0)
	if err != nil {
		return nil, nil, err
	}
	ps, stats, err := Encoder(c)
	if err != nil {
		return nil, nil, err
	}
	return p.Parameters[len(ps):], p.Statistics[len(stats):], nil
}
