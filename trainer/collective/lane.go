package collective

import (
	"bufio"
	"context"
	"net"
	"sync"
)

// lane is a connection with each other worker for one collective at a time. A group has two: gradients are summed on the one
// while the backward pass, which makes them, exchanges batch norm's sums on the other.
type lane struct {
	*Group
	pipes []*pipe
	calls sync.Mutex // one collective at a time
	seq   uint64
}

const lanes = 2

// pipe carries values of collectives between two workers.
type pipe struct {
	rank  int
	conn  *net.TCPConn
	r     *bufio.Reader
	spare chan []float32 // segments to receive to
}

const pipeBuffer = 64 << 10 // bytes

// laneOf is the number of the lane that a connection is for, by its purpose.
func laneOf(p purpose) (int, bool) {
	n := int(p) - int(exchanges)
	return n, n >= 0 && n < lanes
}

// join makes a connection the pipe to a worker. g.mu is held.
func (g *lane) join(rank int, conn net.Conn) {
	if g.err != nil || g.closed {
		_ = conn.Close()
		return
	}
	if old := g.pipes[rank]; old != nil {
		_ = old.conn.Close()
	}
	g.pipes[rank] = &pipe{rank: rank, conn: conn.(*net.TCPConn), r: bufio.NewReaderSize(conn, pipeBuffer)}
}

// piped: all lanes have their connection to a worker, and so has the store where it is between these two. g.mu is held.
func (g *Group) piped(rank int) bool {
	if (rank == 0 || g.c.Rank == 0) && g.desks[rank] == nil {
		return false
	}
	for _, l := range g.lanes {
		if l.pipes[rank] == nil {
			return false
		}
	}
	return true
}

// closePipes ends what is exchanged. g.mu is held.
func (g *Group) closePipes() {
	for _, l := range g.lanes {
		for _, p := range l.pipes {
			if p != nil {
				_ = p.conn.Close()
			}
		}
	}
	for _, d := range g.desks {
		if d != nil {
			_ = d.conn.Close()
		}
	}
}

// Beside is a collective of the same group whose calls are made beside this one's.
func (g *Group) Beside() Collective { return g.lanes[1] }

// AllGather gives every worker's values, of equal length, by rank. The own ones are local itself.
func (g *Group) AllGather(ctx context.Context, local []float32) ([][]float32, error) {
	return g.lanes[0].AllGather(ctx, local)
}

// AllReduceSum replaces the values of each buffer by their sums over the workers.
func (g *Group) AllReduceSum(ctx context.Context, buffers ...[]float32) error {
	return g.lanes[0].AllReduceSum(ctx, buffers...)
}

// Broadcast gives every worker rank 0's data.
func (g *Group) Broadcast(ctx context.Context, data []byte) ([]byte, error) {
	return g.lanes[0].Broadcast(ctx, data)
}

// Barrier waits until every worker is there.
func (g *Group) Barrier(ctx context.Context) error { return g.lanes[0].Barrier(ctx) }
