package emit

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"
	"github.com/gomlx/go-xla/types/shapes"
	"github.com/gomlx/go-xla/types/shardy"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
)

// views is the program that makes views of decoded pixels: what augment.Pipeline does to one view after the other, to all at
// once. What is drawn at random was drawn on the host; an operation that was not drawn for a view is done and not taken. What a
// configuration has not is not in the program.
type views struct {
	*emission
	c          augment.Config
	rows       int
	parameters value // (rows, augment.Parameters)
}

// Views is the program that makes so many views from what augment.Preparer prepares: from sources (rows,edge,edge,3) of 8
// bits and parameters (rows, augment.Parameters) it makes views (rows, 3, S, S) in [0,1]. Devices share the rows and
// nothing else. o.Float64 gives the views in double precision; they are computed in single.
func Views(c augment.Config, edge, rows int, o Options) (out *Program, err error) {
	defer func() { err = asError(recover(), err) }()
	e, err := alone("views", o)
	if err != nil {
		return nil, err
	}
	shared := e.shared([]int{rows}, true)
	sources := Port{Kind: Feed, Name: "sources", Shape: []int{rows, edge, edge, 3}, Type: dtypes.Uint8, Shared: shared, Alias: -1}
	parameters := Port{Kind: Feed, Name: "parameters", Shape: []int{rows, augment.Parameters}, Type: dtypes.Float32, Shared: shared, Alias: -1}
	in := func(p Port) value {
		return must(e.fn.InputWithShardingAndAttributes(shapes.Make(p.Type, p.Shape...), e.sharding(p), nil))
	}
	source := in(sources)
	v := &views{e, c, rows, in(parameters)}
	result := to(v.make(source), v.result(o))
	made := Port{Kind: Fetch, Name: "views", Shape: dims(result), Type: result.Shape().DType, Shared: shared, Alias: -1}
	out = &Program{Inputs: []Port{sources, parameters}, Outputs: []Port{made}, Devices: e.devices}
	var shardings []*shardy.ShardingSpec
	if e.mesh != nil {
		shardings = append(shardings, e.sharding(made))
	}
	check(e.fn.ReturnWithShardingAndAttributes([]value{result}, shardings, nil))
	out.Text, err = e.builder.Build()
	return out, err
}

// result is the type of a step's feeds.
func (v *views) result(o Options) dtypes.DType {
	if o.Float64 {
		return dtypes.Float64
	}
	return dtypes.Float32
}

// make the views in the order of figure 5 of the paper, as augment.Pipeline does.
func (v *views) make(source value) value {
	x := v.resize(source)
	if v.c.Cutout.On {
		x = v.cutout(x)
	}
	if v.c.Color.On {
		x = v.color(x)
	}
	if v.c.Sobel.On {
		x = v.taken(augment.SobelOn, v.sobel(x), x)
	}
	if v.c.Noise.On {
		x = v.taken(augment.NoiseOn, v.clip(add(x, v.noise(dims(x)))), x)
	}
	if v.c.Blur.On {
		x = v.blur(x)
	}
	if v.c.Rotation.On {
		x = v.rotate(x)
	}
	return x
}

// column of the parameters, (rows).
func (v *views) column(c int) value { return reshape(part(v.parameters, 1, c, c+1), v.rows) }

// each is a column in a shape whose first axis are the rows.
func (v *views) each(c int, shape ...int) value { return spread(v.column(c), shape, 0) }

// is says of each row whether a column has that value, in a shape.
func (v *views) is(c int, number float64, shape []int) value {
	x := v.column(c)
	return spread(where(x, types.CompareEQ, v.full(number, x), types.CompareFloat), shape, 0)
}

// taken is yes for the views whose column is 1, else no.
func (v *views) taken(column int, yes, no value) value {
	return choose(v.is(column, 1, dims(yes)), yes, no)
}

// along are the numbers 0, 1, … along one axis of a shape.
func (v *views) along(axis int, shape ...int) value {
	return must(v.fn.Iota(shapes.Make(dtypes.Float32, shape...), axis))
}

func (v *views) plus(x value, f float64) value { return add(x, v.full(f, x)) }

func (v *views) clip(x value) value {
	return must(stablehlo.Minimum(must(stablehlo.Maximum(x, v.full(0, x))), v.full(1, x)))
}

func (v *views) less(a, b value) value { return where(a, types.CompareLT, b, types.CompareFloat) }

// products are matrix products, one for each view, over axis i of a and j of b, in full precision.
func products(a value, i int, b value, j int) value {
	return must(stablehlo.DotGeneral(a, []int{i}, []int{0}, b, []int{j}, []int{0}).
		Precision(types.DotGeneralPrecisionHighest, types.DotGeneralPrecisionHighest).Done())
}

func transpose(x value, order ...int) value { return must(stablehlo.Transpose(x, order...)) }
func both(a, b value) value                 { return must(stablehlo.And(a, b)) }
