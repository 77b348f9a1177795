package emit

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/go-xla/stablehlo"
	"github.com/gomlx/go-xla/types"
	"github.com/gomlx/go-xla/types/shapes"

	"github.com/simclr-operator/simclr-operator/trainer/op"
)

// anchors whose similarities to all rows a device holds at once: memory is linear in the rows, never a 2N×2N matrix.
const anchors = 512

// smallest norm that a row is divided by (trainer/contrastive).
const smallest = 1e-12

// similarity is what is made of one z at one temperature, in a loop over blocks of anchors. The rows of a block lie as
// far apart as possible: of a batch that devices share, each has its part of every block.
type similarity struct {
	e           *emission
	temperature float64
	norm, u     value // of z: (2N), and rows of length 1 (2N, D)
	rows, width int
	block       int // anchors in a block
	blocks      int
	// what the first loop gives
	logSum  value // of the exponentials of an anchor's similarities, (2N)
	loss    value // of each anchor, (2N)
	correct value // 1 where a first view's most similar second view is its own, (2N); of second views without meaning
}

// similarityKey is what one is made of.
type similarityKey struct {
	z           value
	temperature float64
}

// similarities of z, which NT-Xent, its gradient and the contrastive accuracy share.
func (e *emission) similarities(z value, temperature float64) *similarity {
	key := similarityKey{z, temperature}
	if s := e.similar[key]; s != nil {
		return s
	}
	z = e.wide(z)
	s := &similarity{e: e, temperature: temperature, rows: dims(z)[0], width: dims(z)[1]}
	norm := must(stablehlo.Sqrt(e.sum(mul(z, z), 1)))
	s.norm = must(stablehlo.Maximum(norm, e.full(smallest, norm)))
	s.u = div(z, spread(s.norm, dims(z), 0))
	s.block = min(s.rows, anchors*e.devices)
	s.blocks = (s.rows + s.block - 1) / s.block
	s.forward()
	e.similar[key] = s
	return s
}

// blocked lays rows (2N, …) out as (anchors of a block, blocks, …), with zeros where 2N does not fill the last.
func (s *similarity) blocked(v value) value {
	rest := dims(v)[1:]
	if more := s.block*s.blocks - s.rows; more > 0 {
		none := make([]int, len(dims(v)))
		end := append([]int{more}, none[1:]...)
		v = must(stablehlo.Pad(v, s.e.scalar(0, s.e.exact), none, end, none))
	}
	return reshape(v, append([]int{s.block, s.blocks}, rest...)...)
}

// byRow is blocked's inverse.
func (s *similarity) byRow(v value) value {
	rest := dims(v)[2:]
	return part(reshape(v, append([]int{s.block * s.blocks}, rest...)...), 0, 0, s.rows)
}

// at are a block's rows of what is blocked.
func (s *similarity) at(v, i value) value {
	d := dims(v)
	sizes := append([]int{d[0], 1}, d[2:]...)
	return reshape(must(stablehlo.DynamicSlice(v, s.start(v, i), sizes)), append([]int{d[0]}, d[2:]...)...)
}

func (s *similarity) put(into, rows, i value) value {
	d := dims(rows)
	return must(stablehlo.DynamicUpdateSlice(into, reshape(rows, append([]int{d[0], 1}, d[1:]...)...), s.start(into, i)))
}

func (s *similarity) start(v, i value) []value {
	at := make([]value, len(dims(v)))
	for axis := range at {
		at[axis] = s.e.whole(0)
	}
	at[1] = i
	return at
}

// loop calls body for each block, with the blocks' number and what it has made so far, which starts as zeros of the
// shapes given.
func (s *similarity) loop(body func(i value, made []value) []value, made ...[]int) []value {
	e := s.e
	state := []value{e.whole(0)}
	for _, shape := range made {
		state = append(state, spread(e.scalar(0, e.exact), shape))
	}
	outer := e.fn
	inputs := func(f *stablehlo.Function) []value {
		in := []value{must(f.Input(shapes.Make(dtypes.Int32)))}
		for _, shape := range made {
			in = append(in, must(f.Input(shapes.Make(e.exact, shape...))))
		}
		return in
	}
	more := outer.Closure()
	e.fn = more
	check(more.Return(where(inputs(more)[0], types.CompareLT, e.whole(s.blocks), types.CompareSigned)))
	step := outer.Closure()
	e.fn = step
	in := inputs(step)
	out := body(in[0], in[1:])
	check(step.Return(append([]value{add(in[0], e.whole(1))}, out...)...))
	e.fn = outer
	return must(stablehlo.While(more, step, state...))[1:]
}

// one block of anchors: their similarities to all rows, over the temperature, and which columns are which.
type one struct {
	similar        value // (block, 2N)
	row, column    value // their numbers
	self, positive value // where an anchor meets itself, and its positive
}

func (s *similarity) of(anchors, i value) one {
	e, shape := s.e, []int{s.block, s.rows}
	like := func(n int) value { return spread(e.whole(n), shape) }
	b := one{similar: e.scale(product(s.at(anchors, i), 1, s.u, 1), 1/s.temperature), column: e.positions(1, shape...)}
	b.row = add(mul(e.positions(0, shape...), like(s.blocks)), spread(i, shape))
	half := like(s.rows / 2)
	other := choose(where(b.row, types.CompareLT, half, types.CompareSigned), add(b.row, half), sub(b.row, half))
	b.self = where(b.row, types.CompareEQ, b.column, types.CompareSigned)
	b.positive = where(other, types.CompareEQ, b.column, types.CompareSigned)
	return b
}

func (s *similarity) forward() {
	e, all := s.e, []int{s.block, s.blocks}
	u := s.blocked(s.u)
	out := s.loop(func(i value, made []value) []value {
		b := s.of(u, i)
		others := choose(b.self, e.full(lowest, b.similar), b.similar)
		top := e.max(others, 1)
		logSum := add(must(stablehlo.Log(e.sum(exp(sub(others, spread(top, dims(others), 0))), 1))), top)
		own := e.sum(choose(b.positive, b.similar, e.full(0, b.similar)), 1)
		return []value{s.put(made[0], logSum, i), s.put(made[1], sub(logSum, own), i), s.put(made[2], s.best(b, own), i)}
	}, all, all, all)
	s.logSum, s.loss, s.correct = s.byRow(out[0]), s.byRow(out[1]), s.byRow(out[2])
}

// best is 1 where no second view is more similar to a first than its own, nor one before that as similar.
func (s *similarity) best(b one, own value) value {
	e, shape := s.e, dims(b.similar)
	own = spread(own, shape, 0)
	second := where(b.column, types.CompareGE, spread(e.whole(s.rows/2), shape), types.CompareSigned)
	before := where(b.column, types.CompareLT, add(b.row, spread(e.whole(s.rows/2), shape)), types.CompareSigned)
	and := func(a, b value) value { return must(stablehlo.And(a, b)) }
	ahead := must(stablehlo.Or(where(b.similar, types.CompareGT, own, types.CompareFloat),
		and(before, where(b.similar, types.CompareGE, own, types.CompareFloat))))
	beaten := e.sum(to(and(second, ahead), e.exact), 1)
	return to(where(beaten, types.CompareEQ, e.full(0, beaten), types.CompareFloat), e.exact)
}

// mean loss of all anchors, (1).
func (s *similarity) mean() value {
	return reshape(s.e.scale(s.e.sum(s.loss, 0), 1/float64(s.rows)), 1)
}

func ntxent(e *emission, o op.NTXent, in []value, _ []int) value {
	return e.similarities(in[0], o.Temperature).mean()
}

func contrastiveAccuracy(e *emission, _ op.ContrastiveAccuracy, in []value, _ []int) value {
	s := e.anySimilarities(in[0])
	first := part(s.correct, 0, 0, s.rows/2)
	return reshape(e.scale(e.sum(first, 0), 2/float64(s.rows)), 1)
}

// anySimilarities of z: which is the largest does not depend on the temperature.
func (e *emission) anySimilarities(z value) *similarity {
	for key, s := range e.similar {
		if key.z == z {
			return s
		}
	}
	return e.similarities(z, 1)
}

// ntxentGrad is, for u of row r, the sum over columns c of (p_rc + p_cr)·u_c less twice its positive's u, where p_rc is the
// softmax of r's similarities, and p_cr that of c's, of the same similarity. So a block of rows needs no other block's.
func ntxentGrad(e *emission, o op.NTXentGrad, in []value, _ []int) value {
	s := e.similarities(in[0], o.Temperature)
	u, logSum := s.blocked(s.u), s.blocked(s.logSum)
	shape := []int{s.block, s.rows}
	made := s.loop(func(i value, made []value) []value {
		b := s.of(u, i)
		byRow := exp(sub(b.similar, spread(s.at(logSum, i), shape, 0)))
		outer := must(e.fn.UseParentValue(s.logSum))
		byColumn := exp(sub(b.similar, spread(outer, shape, 1)))
		weight := choose(b.self, e.full(0, b.similar), add(byRow, byColumn))
		weight = sub(weight, choose(b.positive, e.full(2, weight), e.full(0, weight)))
		return []value{s.put(made[0], product(weight, 1, s.u, 0), i)}
	}, []int{s.block, s.blocks, s.width})
	du := s.byRow(made[0])
	du = mul(e.scale(du, 1/(o.Temperature*float64(s.rows))), each(e.known(s.mean, e.wide(in[1])), dims(du)))
	straight := spread(e.sum(mul(du, s.u), 1), dims(du), 0) // through u = z/‖z‖
	return div(sub(du, mul(s.u, straight)), spread(s.norm, dims(du), 0))
}
