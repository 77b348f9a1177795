package op

import (
	"gorgonia.org/tensor"
)

// The optimizers' updates as operators, so that an executor can run them where the parameters are.
// w, g and v are a parameter, its gradient and its velocity, of one shape; lr is (1).

// LARSVelocity is v' = Momentum·v + lr·trust·(g + WeightDecay·w) with trust =
// TrustCoefficient·‖w‖/‖g + WeightDecay·w‖, 1 where either norm is 0 (You et al. 2017 as in
// google-research/simclr lars_optimizer.py): of w, g, v, lr. Exclude: neither decay nor trust.
type LARSVelocity struct {
	Momentum, WeightDecay, TrustCoefficient float64
	Exclude                                 bool
}

// ApplyVelocity is w − v', of w and v'.
type ApplyVelocity struct{}

// NesterovVelocity is v' = Momentum·v + g + WeightDecay·w, of w, g, v.
type NesterovVelocity struct{ Momentum, WeightDecay float64 }

// NesterovUpdate is w − lr·(g + WeightDecay·w + Momentum·v'), of w, g, v', lr.
type NesterovUpdate struct{ Momentum, WeightDecay float64 }

// SGDUpdate is w − lr·g, of w, g, lr: plain gradient descent, which hides no error of scale.
type SGDUpdate struct{}

// Operands is 4: w, g, v, lr.
func (LARSVelocity) Operands() int { return 4 }

// Operands is 2: w, v'.
func (ApplyVelocity) Operands() int { return 2 }

// Operands is 3: w, g, v.
func (NesterovVelocity) Operands() int { return 3 }

// Operands is 4: w, g, v', lr.
func (NesterovUpdate) Operands() int { return 4 }

// Operands is 3: w, g, lr.
func (SGDUpdate) Operands() int { return 3 }

// Shape is w's.
func (LARSVelocity) Shape(in ...tensor.Shape) (tensor.Shape, error) { return likeFirst(in, 1, 2) }

// Shape is w's.
func (ApplyVelocity) Shape(in ...tensor.Shape) (tensor.Shape, error) { return likeFirst(in, 1) }

// Shape is w's.
func (NesterovVelocity) Shape(in ...tensor.Shape) (tensor.Shape, error) { return likeFirst(in, 1, 2) }

// Shape is w's.
func (NesterovUpdate) Shape(in ...tensor.Shape) (tensor.Shape, error) { return likeFirst(in, 1, 2) }

// Shape is w's.
func (SGDUpdate) Shape(in ...tensor.Shape) (tensor.Shape, error) { return likeFirst(in, 1) }

// likeFirst is the first operand's shape, which the named others must have too.
func likeFirst(in []tensor.Shape, others ...int) (tensor.Shape, error) {
	for _, i := range others {
		if err := sameShape(in, 0, i); err != nil {
			return nil, err
		}
	}
	return in[0].Clone(), nil
}
