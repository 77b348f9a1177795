package collective

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// op is a kind of collective.
type op byte

const (
	gathering op = 1 + iota
	summing
	broadcasting
	waiting
)

func (o op) String() string {
	return map[op]string{gathering: "AllGather", summing: "AllReduceSum", broadcasting: "Broadcast", waiting: "Barrier"}[o]
}

// header begins what a worker sends to each other in a collective.
type header struct {
	op       op
	seq      uint64 // which of the group's collectives it is
	elements uint64 // values; of a broadcast rank 0's bytes
}

const headerSize = 1 + 8 + 8

func (h header) bytes() []byte {
	b := binary.LittleEndian.AppendUint64([]byte{byte(h.op)}, h.seq)
	return binary.LittleEndian.AppendUint64(b, h.elements)
}

func (h header) String() string {
	if h.op == broadcasting || h.op == waiting {
		return fmt.Sprintf("%v as call %d", h.op, h.seq)
	}
	return fmt.Sprintf("%v of %d values as call %d", h.op, h.elements, h.seq)
}

// agrees with what another sent.
func (h header) agrees(o header) bool {
	if h.op == broadcasting {
		h.elements = o.elements
	}
	return h == o
}

// exchange is one collective: what is sent to each other worker, after the header, what is received, and what is done
// meanwhile. Each may be nil.
type exchange struct {
	header  header
	send    func(p *pipe, header []byte) error
	receive func(p *pipe, h header) error
	work    func()
}

// do an exchange with all. It waits as long as it takes for the others to come, as their heartbeats go on, and
// Times.Transfer for the rest.
func (g *lane) do(ctx context.Context, x exchange) error {
	g.calls.Lock()
	defer g.calls.Unlock()
	if err := g.state(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		g.Fail(context.Cause(ctx))
		return context.Cause(ctx)
	}
	watched := context.AfterFunc(ctx, func() { g.Fail(context.Cause(ctx)) })
	defer watched()
	x.header.seq = g.seq
	g.seq++
	g.setDeadline(time.Time{})
	var here atomic.Int32
	var wg sync.WaitGroup
	for _, p := range g.pipes {
		if p == nil {
			continue
		}
		wg.Go(func() { g.broken(p, x.sent(p)) })
		wg.Go(func() {
			h, err := g.header(p, x.header)
			if err == nil && int(here.Add(1)) == g.c.Size-1 {
				g.setDeadline(time.Now().Add(g.c.Times.Transfer))
			}
			if err == nil && x.receive != nil {
				err = x.receive(p, h)
			}
			g.broken(p, err)
		})
	}
	if x.work != nil {
		x.work()
	}
	wg.Wait()
	return g.state()
}

func (x exchange) sent(p *pipe) error {
	h := x.header.bytes()
	if x.send == nil {
		_, err := p.conn.Write(h)
		return err
	}
	return x.send(p, h)
}

// header of another worker, which has to make the same call.
func (g *lane) header(p *pipe, own header) (header, error) {
	var b [headerSize]byte
	if _, err := io.ReadFull(p.r, b[:]); err != nil {
		return header{}, err
	}
	h := header{op(b[0]), binary.LittleEndian.Uint64(b[1:]), binary.LittleEndian.Uint64(b[9:])}
	if !own.agrees(h) {
		g.fail(&MismatchError{fmt.Sprintf("worker %d makes %v, worker %d %v", g.c.Rank, own, p.rank, h)})
		return h, errors.New("another call")
	}
	return h, nil
}

func (g *lane) setDeadline(t time.Time) {
	for _, p := range g.pipes {
		if p != nil {
			_ = p.conn.SetDeadline(t) // of a closed connection: reading tells
		}
	}
}

// broken ends the group where a pipe has failed. Its link knows better why, and is given time to say so.
func (g *Group) broken(p *pipe, err error) {
	if err == nil {
		return
	}
	select {
	case <-g.failed:
		return
	case <-time.After(patience):
	}
	g.mu.Lock()
	left := g.left[p.rank]
	g.mu.Unlock()
	switch {
	case left:
		err = errors.New("it has ended its part, and others have not")
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("the values were not exchanged within %v", g.c.Times.Transfer)
	default:
		err = g.seen(err)
	}
	g.fail(lost(p.rank, "%w", err))
}

// raw bytes of values. All workers are little-endian: the engine is for amd64 and arm64.
func raw(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x)) //nolint:gosec // as long as x
}

// write values after some bytes at once.
func write(p *pipe, before []byte, values ...[]float32) error {
	b := make(net.Buffers, 0, 1+len(values))
	if len(before) > 0 {
		b = append(b, before)
	}
	for _, v := range values {
		if len(v) > 0 {
			b = append(b, raw(v))
		}
	}
	_, err := b.WriteTo(p.conn)
	return err
}

func read(p *pipe, values ...[]float32) error {
	for _, v := range values {
		if _, err := io.ReadFull(p.r, raw(v)); err != nil {
			return err
		}
	}
	return nil
}

// AllGather gives every worker's values, of equal length, by rank. The own ones are local itself.
func (g *lane) AllGather(ctx context.Context, local []float32) ([][]float32, error) {
	all := make([][]float32, g.c.Size)
	all[g.c.Rank] = local
	err := g.do(ctx, exchange{
		header: header{op: gathering, elements: uint64(len(local))},
		send:   func(p *pipe, h []byte) error { return write(p, h, local) },
		receive: func(p *pipe, _ header) error {
			all[p.rank] = make([]float32, len(local))
			return read(p, all[p.rank])
		},
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Barrier waits until every worker is there.
func (g *lane) Barrier(ctx context.Context) error {
	return g.do(ctx, exchange{header: header{op: waiting}})
}

// broadcastLimit is what a worker takes from rank 0. Unit: bytes.
const broadcastLimit = 64 << 30

// Broadcast gives every worker rank 0's data.
func (g *lane) Broadcast(ctx context.Context, data []byte) ([]byte, error) {
	x := exchange{header: header{op: broadcasting}}
	if g.c.Rank == 0 {
		x.header.elements = uint64(len(data))
		x.send = func(p *pipe, h []byte) error {
			b := net.Buffers{h, data}
			_, err := b.WriteTo(p.conn)
			return err
		}
		return data, g.do(ctx, x)
	}
	var got []byte
	x.receive = func(p *pipe, h header) error {
		if p.rank != 0 {
			return nil
		}
		if h.elements > broadcastLimit {
			return fmt.Errorf("a broadcast of %d bytes", h.elements)
		}
		got = make([]byte, h.elements)
		_, err := io.ReadFull(p.r, got)
		return err
	}
	if err := g.do(ctx, x); err != nil {
		return nil, err
	}
	return got, nil
}
