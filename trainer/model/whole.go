package model

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
	"github.com/simclr-operator/simclr-operator/trainer/optimizer"
)

// Whole is the training step of N images by one worker as one segment, NT-Xent and the update in it: feeds the views (2N, 3, S, S),
// the loss's gradient, 1, and the learning rate; fetches the loss, the contrastive accuracy in [0, 1], and z (2N, D).
// It updates nothing where the loss is no finite number. Contrastive and NTXent are the same step in parts.
func Whole(c Config, images int, temperature float64, o optimizer.Config) (*Program, error) {
	n := newNetwork(c, !c.RunningNorm)
	views, dloss := n.input("views", 2*images, 3, c.ImageSize, c.ImageSize), n.input("dloss", 1)
	z := n.head(n.encoder(views))
	loss := n.apply(op.NTXent{Temperature: temperature}, z)
	accuracy := n.apply(op.ContrastiveAccuracy{}, z)
	if n.err != nil {
		return nil, n.err
	}
	grads, err := gorgonia.Backpropagate(gorgonia.Nodes{loss}, gorgonia.Nodes{dloss}, n.nodes())
	if err != nil {
		return nil, fmt.Errorf("differentiating the step: %w", err)
	}
	p := &Program{Program: engine.Program{Graph: n.g, Precision: c.Precision}, Parameters: n.params, Statistics: n.stats}
	lr, err := n.update(p, n.params, grads, o)
	if err != nil {
		return nil, err
	}
	p.Segments = []engine.Segment{{
		Name: "step", Feeds: gorgonia.Nodes{views, dloss, lr}, Images: gorgonia.Nodes{views},
		Fetches: gorgonia.Nodes{loss, accuracy, z}, Seldom: gorgonia.Nodes{z}, Updates: true, Guard: loss,
	}}
	return p, n.err
}
