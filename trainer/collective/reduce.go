package collective

import (
	"context"
)

// Sums are added in the order of ranks, 0 + 1 + 2 …, whatever an element's place and however buffers are cut: so they are
// the same bits on every worker and from run to run. Of few values every worker gets all and adds them itself, in one
// exchange. Of many each worker owns an equal part: it gets that of all others, adds, and sends the sums to all.
// The bytes are those of a ring, which would add each part in another order (gloo does).

const (
	fewValues = 16 << 10
	segment   = 64 << 10 // values that are received, added and sent on at once
	spares    = 3        // segments of each worker that may wait to be added
)

// AllReduceSum replaces the values of each buffer by their sums over the workers.
func (g *lane) AllReduceSum(ctx context.Context, buffers ...[]float32) error {
	v := newVector(buffers)
	if v.len() <= fewValues {
		return g.sumFew(ctx, v)
	}
	return newReduction(g, v).run(ctx)
}

func (g *lane) sumFew(ctx context.Context, v vector) error {
	all := make([][]float32, g.c.Size)
	for rank := range all {
		all[rank] = make([]float32, v.len())
	}
	v.copyTo(all[g.c.Rank], 0)
	err := g.do(ctx, exchange{
		header:  header{op: summing, elements: uint64(v.len())},
		send:    func(p *pipe, h []byte) error { return write(p, h, all[g.c.Rank]) },
		receive: func(p *pipe, _ header) error { return read(p, all[p.rank]) },
	})
	if err != nil {
		return err
	}
	for _, values := range all[1:] {
		add(all[0], values)
	}
	v.copyFrom(all[0], 0)
	return nil
}

// reduction is a sum at the owners.
type reduction struct {
	g       *lane
	v       vector
	arrived []chan []float32 // segments of the own part, by who sent them
	sent    []chan struct{}  // a segment of another's part is on its way, by whose it is: its sum may take its place
	summed  []chan struct{}  // a segment of the own part is summed, by who has to be sent it
}

func newReduction(g *lane, v vector) *reduction {
	r := &reduction{g: g, v: v, arrived: make([]chan []float32, g.c.Size), sent: make([]chan struct{}, g.c.Size), summed: make([]chan struct{}, g.c.Size)}
	for rank, p := range g.pipes {
		if p == nil {
			continue
		}
		r.arrived[rank] = make(chan []float32, spares)
		r.sent[rank] = make(chan struct{}, len(r.segments(rank)))
		r.summed[rank] = make(chan struct{}, len(r.segments(g.c.Rank)))
		if p.spare == nil {
			p.spare = make(chan []float32, spares)
			for range spares {
				p.spare <- make([]float32, segment)
			}
		}
	}
	return r
}

func (r *reduction) run(ctx context.Context) error {
	return r.g.do(ctx, exchange{
		header: header{op: summing, elements: uint64(r.v.len())},
		send:   r.send, receive: r.receive, work: r.sum,
	})
}

// segments of an owner's part, from where to where.
func (r *reduction) segments(owner int) [][2]int {
	lo, hi := r.v.len()*owner/r.g.c.Size, r.v.len()*(owner+1)/r.g.c.Size
	var s [][2]int
	for ; lo < hi; lo += segment {
		s = append(s, [2]int{lo, min(lo+segment, hi)})
	}
	return s
}

// send an owner its part's values, and it the own part's sums.
func (r *reduction) send(p *pipe, h []byte) error {
	for _, s := range r.segments(p.rank) {
		if err := write(p, h, r.v.pieces(s[0], s[1])...); err != nil {
			return err
		}
		h = nil
		r.sent[p.rank] <- struct{}{}
	}
	for _, s := range r.segments(r.g.c.Rank) {
		select {
		case <-r.summed[p.rank]:
		case <-r.g.failed:
			return r.g.state()
		}
		if err := write(p, nil, r.v.pieces(s[0], s[1])...); err != nil {
			return err
		}
	}
	return nil
}

// receive the values of the own part, and the sums of an owner's.
func (r *reduction) receive(p *pipe, _ header) error {
	for _, s := range r.segments(r.g.c.Rank) {
		var to []float32
		select {
		case to = <-p.spare:
		case <-r.g.failed:
			return r.g.state()
		}
		to = to[:s[1]-s[0]]
		if err := read(p, to); err != nil {
			return err
		}
		r.arrived[p.rank] <- to // there are as many places as spares
	}
	for _, s := range r.segments(p.rank) {
		select {
		case <-r.sent[p.rank]:
		case <-r.g.failed:
			return r.g.state()
		}
		if err := read(p, r.v.pieces(s[0], s[1])...); err != nil {
			return err
		}
	}
	return nil
}

// sum the own part, segment by segment.
func (r *reduction) sum() {
	own, sum := make([]float32, segment), make([]float32, segment)
	for _, s := range r.segments(r.g.c.Rank) {
		own, sum := own[:s[1]-s[0]], sum[:s[1]-s[0]]
		r.v.copyTo(own, s[0])
		for rank, p := range r.g.pipes {
			values := own
			if p != nil {
				select {
				case values = <-r.arrived[rank]:
				case <-r.g.failed:
					return
				}
			}
			if rank == 0 {
				copy(sum, values)
			} else {
				add(sum, values)
			}
			if p != nil {
				p.spare <- values[:cap(values)]
			}
		}
		r.v.copyFrom(sum, s[0])
		for _, done := range r.summed {
			if done != nil {
				done <- struct{}{}
			}
		}
	}
}
