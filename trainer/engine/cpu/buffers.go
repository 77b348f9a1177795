package cpu

import "slices"

// buffers gives values memory, and takes it back for others.
type buffers struct {
	free     map[int][]*buffer // by size class
	allocate func(floats int) (*buffer, error)
	released map[*value]bool // their memory is free again, or another value's
}

// take gives a value memory. What is kept has memory of its own.
func (p *buffers) take(v *value) (err error) {
	if v.buf != nil {
		return nil
	}
	if v.kept {
		v.buf, err = p.allocate(v.room())
		return err
	}
	class := sizeClass(v.room())
	if stack := p.free[class]; len(stack) > 0 {
		v.buf, p.free[class] = stack[len(stack)-1], stack[:len(stack)-1]
		return nil
	}
	v.buf, err = p.allocate(class)
	return err
}

// release takes back the memory of a value that nothing reads any more.
func (p *buffers) release(v *value) {
	if v.kept || p.released[v] {
		return
	}
	p.released[v] = true
	class := sizeClass(v.room())
	p.free[class] = append(p.free[class], v.buf)
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

// sizeClass rounds a size up by at most an eighth, so that values of nearly one size share buffers.
func sizeClass(n int) int {
	unit := 1024
	for unit*8 < n {
		unit *= 2
	}
	return (n + unit - 1) / unit * unit
}
