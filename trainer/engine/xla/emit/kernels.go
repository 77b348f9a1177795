package emit

import (
	"slices"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// A TPU has a convolution's weights as (k, k, I, O): what a program is given or gives as (O, I, k, k) its compiler copies to and from
// that in every step. So variables of four axes, which are such weights and their momenta, are (k, k, I, O) there, and so is what is
// computed with them.

// Turned says whether a variable of a shape (O, I, k, k) is (k, k, I, O) on the devices.
func (o Options) Turned(shape []int) bool { return o.Platform == tpu && len(shape) == 4 }

// turn is (k, k, I, O) of (O, I, k, k), back is that of this.
var (
	turn = []int{2, 3, 1, 0}
	back = []int{3, 2, 0, 1}
)

// OnDevice is the shape by which a variable, or what is computed of such, is in the program.
func (o Options) OnDevice(shape []int) []int {
	if !o.Turned(shape) {
		return shape
	}
	turned := make([]int, len(turn))
	for i, axis := range turn {
		turned[i] = shape[axis]
	}
	return turned
}

// kernel is a variable's value, or one that goes with it, as the device has it.
func (e *emission) kernel(v value) value {
	if e.turned[v] || !e.options.Turned(dims(v)) {
		return v
	}
	k := transpose(v, turn...)
	e.turned[k] = true
	return k
}

// plain is a value in the graph's axes.
func (e *emission) plain(v value) value {
	if !e.turned[v] {
		return v
	}
	return transpose(v, back...)
}

// operands of a node, each as its emitter takes it.
func (e *emission) operands(f emitter, in []value) []value {
	laid := make([]value, len(in))
	for i, v := range in {
		if slices.Contains(f.kernels, i) {
			laid[i] = e.kernel(v)
		} else {
			laid[i] = e.plain(v)
		}
	}
	return laid
}

// weighted has operands that are weights of convolutions, or may be.
func weighted(l registered, kernels ...int) registered {
	l.kernels = kernels
	return l
}

// gradient is of a convolution's weights.
func gradient(l registered) registered {
	l.turns = true
	return l
}

// update is of parameters, of which the operands that are named have the shape.
func update[T op.Operator](f formula[T], kernels ...int) registered {
	return gradient(weighted(whole(f), kernels...))
}
