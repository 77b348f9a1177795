package cpu

import (
	"gorgonia.org/gorgonia"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// normGrad is the backward pass of a batch norm in training mode. The graph has it as five operators
// that read the same operands; here it is two passes over memory. mask is the result of the ReLU after
// the batch norm, whose derivative is then part of it, or nil; beta is set where the ReLU's result can be told
// from x.
type normGrad struct {
	epsilon           float64
	workers           int // whose values are normalised together
	dy, mask, beta    *gorgonia.Node
	x, stats, gamma   *gorgonia.Node
	dx, dgamma, dbeta *gorgonia.Node
	done              bool
}

// is the operator of a node, if it is of type T.
func is[T op.Operator](n *gorgonia.Node) (T, bool) {
	o, _ := op.Of(n)
	t, ok := o.(T)
	return t, ok
}

// fuse finds the patterns in what is computed.
func (l *lowering) fuse(orders []gorgonia.Nodes) {
	l.norms = map[*gorgonia.Node]*normGrad{}
	for _, order := range orders {
		for _, n := range order {
			if op.IsSum(n) {
				l.fuseNormGrad(n)
				l.fuseMixGrad(n)
			}
			if _, ok := is[op.ReLU](n); ok {
				l.fuseReLU(n)
			}
		}
	}
	for _, order := range orders { // once it is known which of them are part of a batch norm's derivatives
		for _, n := range order {
			if _, ok := is[op.ReLUGrad](n); ok && !l.skip[n] {
				l.fuseSum(n)
			}
		}
	}
}

// fuseReLU makes normalisation, the addition of a shortcut and ReLU one pass.
func (l *lowering) fuseReLU(n *gorgonia.Node) {
	in := engine.Operands(l.g, n)[0]
	if len(l.users[in]) != 1 {
		return
	}
	if _, ok := is[op.Normalize](in); ok {
		l.skip[in] = true
	}
	if _, ok := is[op.Add](in); ok {
		if y := engine.Operands(l.g, in)[0]; len(l.users[y]) == 1 {
			if _, ok := is[op.Normalize](y); ok {
				l.skip[in], l.skip[y] = true, true
			}
		}
	}
}

// fuseSum makes the addition of two gradients part of the ReLU's derivative that alone reads it.
func (l *lowering) fuseSum(n *gorgonia.Node) {
	sum := engine.Operands(l.g, n)[1]
	if !op.IsSum(sum) || len(l.users[sum]) != 1 || l.norms[sum] != nil {
		return
	}
	if _, _, one := l.mixAndPool(sum); !one {
		l.skip[sum] = true
	}
}

// fuseNormGrad sees a sum of the two gradients by a batch norm's input.
func (l *lowering) fuseNormGrad(sum *gorgonia.Node) {
	in := engine.Operands(l.g, sum)
	direct, through := in[0], in[1]
	if _, ok := is[op.NormalizeGradInput](direct); !ok {
		direct, through = through, direct
	}
	o, ok := is[op.NormalizeGradInput](direct)
	if !ok || len(l.users[direct]) != 1 || len(l.users[through]) != 1 {
		return
	}
	statistics, ok := is[op.BatchStatisticsGrad](through)
	if !ok {
		return
	}
	d, t := engine.Operands(l.g, direct), engine.Operands(l.g, through)
	members := gorgonia.Nodes{direct, through}
	dstats := t[2]
	if _, ok := is[op.SumOverWorkers](dstats); ok && len(l.users[dstats]) == 1 {
		members = append(members, dstats)
		dstats = engine.Operands(l.g, dstats)[0]
	}
	if _, ok := is[op.NormalizeGradStatistics](dstats); !ok || len(l.users[dstats]) != 1 {
		return
	}
	s := engine.Operands(l.g, dstats) // dy, x, stats, gamma
	if s[0] != d[0] || s[1] != t[0] || s[2] != d[1] || t[1] != d[1] || s[3] != d[2] {
		return
	}
	group := &normGrad{epsilon: o.Epsilon, workers: max(statistics.Workers, 1), dy: d[0], x: t[0], stats: d[1], gamma: d[2], dx: sum}
	for _, u := range l.users[d[0]] {
		if _, ok := is[op.NormalizeGradGamma](u); ok && engine.Operands(l.g, u)[1] == group.x {
			group.dgamma = u
		}
		if _, ok := is[op.NormalizeGradBeta](u); ok && l.norms[u] == nil {
			group.dbeta = u
		}
	}
	l.claim(group, append(members, dstats))
}

// claim makes the group's kernel compute its nodes, the derivative of a ReLU before it among them where
// nothing else reads that.
func (l *lowering) claim(group *normGrad, members gorgonia.Nodes) {
	for _, m := range members {
		l.skip[m] = true
	}
	all := append(gorgonia.Nodes{group.dx}, members...)
	for _, r := range []*gorgonia.Node{group.dgamma, group.dbeta} {
		if r != nil {
			all = append(all, r)
		}
	}
	if _, ok := is[op.ReLUGrad](group.dy); ok && subset(l.users[group.dy], all) {
		in := engine.Operands(l.g, group.dy)
		l.skip[group.dy] = true
		group.mask, group.dy = in[0], in[1]
		group.beta = l.maskedBy(group)
	}
	for _, r := range []*gorgonia.Node{group.dx, group.dgamma, group.dbeta} {
		if r != nil {
			l.norms[r] = group
		}
	}
}

// maskedBy is β where the ReLU before a batch norm's derivatives reads nothing but that batch norm's result,
// which is then computed again from x instead of being read; nil elsewhere.
func (l *lowering) maskedBy(group *normGrad) *gorgonia.Node {
	in := engine.Operands(l.g, group.mask)[0]
	o, ok := is[op.Normalize](in)
	if !ok || o.Epsilon != group.epsilon {
		return nil
	}
	if s := engine.Operands(l.g, in); s[0] == group.x && s[1] == group.stats && s[2] == group.gamma {
		return s[3]
	}
	return nil
}

func subset(some, all gorgonia.Nodes) bool {
	for _, n := range some {
		found := false
		for _, m := range all {
			found = found || n == m
		}
		if !found {
			return false
		}
	}
	return true
}
