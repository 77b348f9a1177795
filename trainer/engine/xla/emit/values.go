package emit

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"
	"github.com/gomlx/go-xla/types/shapes"
)

type value = *stablehlo.Value

// failure carries an error of the builder's through emitters, which are formulas, to Programs.
type failure struct{ err error }

// asError turns what was recovered, a failure or nothing, into an error. Anything else goes on as the panic that it was.
func asError(recovered any, err error) error {
	switch f := recovered.(type) {
	case nil:
		return err
	case failure:
		return f.err
	default:
		panic(f)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func dims(v value) []int { return v.Shape().Dimensions }

func add(a, b value) value { return must(stablehlo.Add(a, b)) }
func sub(a, b value) value { return must(stablehlo.Subtract(a, b)) }
func mul(a, b value) value { return must(stablehlo.Multiply(a, b)) }
func div(a, b value) value { return must(stablehlo.Divide(a, b)) }
func exp(a value) value    { return must(stablehlo.Exponential(a)) }

// to is v in another type.
func to(v value, t dtypes.DType) value {
	if v.Shape().DType == t {
		return v
	}
	return must(stablehlo.Convert(v, t))
}

// spread broadcasts v, whose axes become those named, to a shape.
func spread(v value, shape []int, axes ...int) value {
	return must(stablehlo.BroadcastInDim(v, shapes.Make(v.Shape().DType, shape...), axes))
}

func reshape(v value, shape ...int) value {
	return must(stablehlo.Reshape(v, shapes.Make(v.Shape().DType, shape...)))
}

// part of v along one axis.
func part(v value, axis, from, end int) value {
	starts, limits, strides := make([]int, len(dims(v))), append([]int{}, dims(v)...), make([]int, len(dims(v)))
	for i := range strides {
		strides[i] = 1
	}
	starts[axis], limits[axis] = from, end
	return must(stablehlo.Slice(v, starts, limits, strides))
}

func concatenate(axis int, vs ...value) value { return must(stablehlo.Concatenate(axis, vs...)) }

// product sums over axis i of a and j of b, in full precision: by default a TPU would round operands to bfloat16, a GPU
// to TF32.
func product(a value, i int, b value, j int) value {
	return must(stablehlo.DotGeneral(a, []int{i}, nil, b, []int{j}, nil).
		Precision(types.DotGeneralPrecisionHighest, types.DotGeneralPrecisionHighest).Done())
}

// where compares floats, or with whole set integers.
func where(a value, is types.ComparisonDirection, b value, as types.ComparisonType) value {
	return must(stablehlo.Compare(a, b, is, as))
}

func choose(which, yes, no value) value { return must(stablehlo.Select(which, yes, no)) }

// scalar is a constant.
func (e *emission) scalar(f float64, t dtypes.DType) value {
	return to(must(e.fn.ConstantFromScalar(f)), t)
}

// full is a constant in the shape and type of v.
func (e *emission) full(f float64, v value) value {
	return spread(e.scalar(f, v.Shape().DType), dims(v))
}

func (e *emission) scale(v value, f float64) value { return mul(v, e.full(f, v)) }

// wide is v in the type of parameters, statistics and sums.
func (e *emission) wide(v value) value { return to(v, e.exact) }

// folding is a function of two scalars that a reduction folds by.
type folding struct {
	in   *stablehlo.Function
	kind string
	of   dtypes.DType
}

// fold is the function that adds, takes the larger of two values, or says whether the first is at least the second.
func (e *emission) fold(kind string, t dtypes.DType) *stablehlo.Function {
	key := folding{e.fn, kind, t}
	if f := e.foldings[key]; f != nil {
		return f
	}
	f := e.fn.Closure()
	a, b := must(f.Input(shapes.Make(t))), must(f.Input(shapes.Make(t)))
	var y value
	switch kind {
	case "sum":
		y = add(a, b)
	case "max":
		y = must(stablehlo.Maximum(a, b))
	default:
		y = where(a, types.CompareGE, b, types.CompareFloat)
	}
	check(f.Return(y))
	e.foldings[key] = f
	return f
}

func (e *emission) sum(v value, axes ...int) value {
	t := v.Shape().DType
	return must(stablehlo.Reduce(v, e.scalar(0, t), e.fold("sum", t), axes...))
}

// lowest is below every value that is compared; a float32 holds it.
const lowest = -1e30

func (e *emission) max(v value, axes ...int) value {
	t := v.Shape().DType
	return must(stablehlo.Reduce(v, e.scalar(lowest, t), e.fold("max", t), axes...))
}

// positions are the numbers 0, 1, … along one axis of a shape.
func (e *emission) positions(axis int, shape ...int) value {
	return must(e.fn.Iota(shapes.Make(dtypes.Int32, shape...), axis))
}

// whole is an integer constant.
func (e *emission) whole(n int) value { return must(e.fn.ConstantFromScalar(int32(n))) }
