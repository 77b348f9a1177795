package cpu

import (
	"math/rand/v2"
	"testing"
)

// Values that are alive at once never share memory, and all together take little more than those that are alive at the worst
// step.
func TestLivesMeetNowhere(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		p := newBuffers(newBuffer)
		const steps = 60
		var alive [steps]int
		for range 1 + r.IntN(80) {
			from := r.IntN(steps)
			v := &value{shape: []int{1 + r.IntN(5000)}, form: plain}
			if err := p.take(v, from); err != nil {
				t.Fatal(err)
			}
			to := from + r.IntN(steps-from)
			p.release(v, to)
			for step := from; step <= to; step++ {
				alive[step] += v.buf.cap
			}
		}
		if err := p.place(); err != nil {
			t.Fatal(err)
		}
		most, end := 0, 0
		for _, n := range alive {
			most = max(most, n)
		}
		for i, a := range p.lives {
			end = max(end, a.at+a.buf.cap)
			for _, b := range p.lives[:i] {
				if a.from <= b.to && b.from <= a.to && a.at < b.at+b.buf.cap && b.at < a.at+a.buf.cap {
					t.Fatalf("%+v and %+v meet", a, b)
				}
			}
		}
		if end > most*5/4 {
			t.Errorf("%d floats, where at most %d are alive at once", end, most)
		}
	}
}
