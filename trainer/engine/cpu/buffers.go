package cpu

import (
	"cmp"
	"slices"
	"unsafe"
)

// buffers gives values memory. What is kept has memory of its own; all else shares one block, in which those that are alive at
// once lie beside each other.
type buffers struct {
	allocate func(floats int) (*buffer, error)
	lives    []*life
	open     map[*buffer]*life
	released map[*value]bool // their memory is free again, or another value's
}

// life is the part of the block that one or more values have, one after the other, from one step to another.
type life struct {
	buf      *buffer
	from, to int // steps
	at       int // in the block. Unit: floats
}

func newBuffers(allocate func(floats int) (*buffer, error)) *buffers {
	return &buffers{allocate: allocate, open: map[*buffer]*life{}, released: map[*value]bool{}}
}

// take gives a value memory from a step on.
func (p *buffers) take(v *value, step int) (err error) {
	if v.buf != nil {
		return nil
	}
	if v.kept {
		v.buf, err = p.allocate(v.room())
		return err
	}
	v.buf = &buffer{cap: aligned(v.room())}
	s := &life{buf: v.buf, from: step}
	p.lives, p.open[v.buf] = append(p.lives, s), s
	return nil
}

// release takes back the memory of a value that nothing reads after a step.
func (p *buffers) release(v *value, step int) {
	if v.kept || p.released[v] {
		return
	}
	p.released[v] = true
	p.open[v.buf].to = step
}

// reuse gives a step's first result the memory of an operand of its size that is read for the last time.
func (p *buffers) reuse(s step, at int) {
	y := s.out[0]
	i := slices.IndexFunc(s.in, func(v *value) bool {
		return v.last == at && !v.kept && !p.released[v] && v.form == y.form && v.size() == y.size()
	})
	if i < 0 || y.kept || y.buf != nil {
		return
	}
	y.buf = s.in[i].buf
	p.released[s.in[i]] = true
}

// place puts all lives into one block: the largest first, each into the smallest gap between those that it meets (greedy by
// size: Pisarchyk and Lee 2020, arXiv 2001.03288, section 5).
func (p *buffers) place() error {
	order := slices.SortedStableFunc(slices.Values(p.lives), func(a, b *life) int { return cmp.Compare(b.buf.cap, a.buf.cap) })
	var placed []*life // by place
	end := 0
	for _, s := range order {
		s.at = gap(placed, s)
		end = max(end, s.at+s.buf.cap)
		i, _ := slices.BinarySearchFunc(placed, s, func(a, b *life) int { return cmp.Compare(a.at, b.at) })
		placed = slices.Insert(placed, i, s)
	}
	block, err := p.allocate(end)
	if err != nil {
		return err
	}
	for _, s := range p.lives {
		s.buf.p = unsafe.Add(block.p, 4*s.at)
	}
	return nil
}

// gap is the place of the smallest gap for a life between those that are alive at some time with it, else behind them.
func gap(placed []*life, s *life) int {
	best, smallest, end := -1, 0, 0
	for _, o := range placed {
		if o.to < s.from || s.to < o.from {
			continue
		}
		if room := o.at - end; room >= s.buf.cap && (best < 0 || room < smallest) {
			best, smallest = end, room
		}
		end = max(end, o.at+o.buf.cap)
	}
	if best < 0 {
		return end
	}
	return best
}

// aligned rounds a size up to whole lines of the cache, twice: the hardware fetches pairs.
func aligned(floats int) int { return (floats + 31) / 32 * 32 }
