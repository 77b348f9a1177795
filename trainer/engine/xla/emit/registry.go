package emit

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// emitter writes an operator's result, of a shape, from its operands; their types may be any, and so may the result's.
type emitter struct {
	write func(e *emission, o op.Operator, in []value, out []int) value
	// rows: the result's first axis are images, which devices share.
	rows bool
	// activation: a result of four axes is kept in the program's precision; all others are exact.
	activation bool
	// kernels are the operands that are weights of convolutions, or may be, and turns says that so may the result: those of four axes
	// are as the device has them.
	kernels []int
	turns   bool
}

type formula[T op.Operator] func(e *emission, o T, in []value, out []int) value

// registered is one line of the registry.
type registered struct {
	of reflect.Type
	emitter
}

func line[T op.Operator](f formula[T], rows, activation bool) registered {
	return registered{reflect.TypeFor[T](), emitter{rows: rows, activation: activation,
		write: func(e *emission, o op.Operator, in []value, out []int) value { return f(e, o.(T), in, out) }}}
}

// activations are what a network's layers give and their gradients.
func activations[T op.Operator](f formula[T]) registered { return line(f, true, true) }

// rows are values for each image that are exact.
func rows[T op.Operator](f formula[T]) registered { return line(f, true, false) }

// whole are values of a whole batch: parameters, their gradients, statistics, losses.
func whole[T op.Operator](f formula[T]) registered { return line(f, false, false) }

// registry has every operator of trainer/op.
var registry = table(
	weighted(activations(conv2D), 1), weighted(activations(conv2DGradInput), 0), gradient(whole(conv2DGradWeight)),
	whole(batchStatistics), activations(batchStatisticsGrad), activations(normalize), activations(normalizeGradInput),
	whole(normalizeGradStatistics), whole(normalizeGradGamma), whole(normalizeGradBeta), whole(runningStatistics),
	rows(dense), rows(denseGradInput), whole(denseGradWeight), rows(addBias), whole(biasGrad),
	activations(relu), activations(reluGrad), activations(softplus), activations(softplusGrad), activations(sum),
	rows(globalAveragePool), activations(globalAveragePoolGrad),
	activations(maxPool), activations(maxPoolGrad), activations(averagePool), activations(averagePoolGrad),
	rows(sumStreams), rows(repeatStreams), rows(streamSoftmax), rows(streamSoftmaxGrad),
	activations(mixStreams), activations(mixStreamsGradInput), rows(mixStreamsGradWeight),
	whole(ntxent), rows(ntxentGrad), whole(contrastiveAccuracy), whole(softmaxCrossEntropy), rows(softmaxCrossEntropyGrad),
	update(larsVelocity, 0, 1, 2), update(applyVelocity, 0, 1), update(nesterovVelocity, 0, 1, 2), update(nesterovUpdate, 0, 1, 2),
	update(sgdUpdate, 0, 1), whole(sumOverWorkers),
)

func table(lines ...registered) map[reflect.Type]emitter {
	t := map[reflect.Type]emitter{}
	for _, l := range lines {
		t[l.of] = l.emitter
	}
	return t
}

// ErrSeveralWorkers says that what several workers compute together is no operator of one program.
var ErrSeveralWorkers = errors.New("it is no operator of an accelerator's program, which has the devices of all workers; set pretraining.batchNormStatistics to Worker, or workers to 1")

func emitterOf(o op.Operator) (emitter, error) {
	e, ok := registry[reflect.TypeOf(o)]
	if !ok {
		return e, fmt.Errorf("no emitter for %T", o)
	}
	if n := op.OverWorkers(o); n > 1 {
		return e, fmt.Errorf("%T is over %d workers: %w", o, n, ErrSeveralWorkers)
	}
	return e, nil
}
