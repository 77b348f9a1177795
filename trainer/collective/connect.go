package collective

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

// Connect joins the workers of a group: every worker with rank 0, whose address is known; from it all learn where the others
// listen, and connect with each. It waits for workers that are not there yet, and for names that cannot be resolved
// yet, for Times.Wait or until the context ends.
func Connect(ctx context.Context, c Config) (*Group, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for the other workers: %w", err)
	}
	g := &Group{
		c: c, links: make([]*link, c.Size), addresses: make([]string, c.Size),
		ready: make([]bool, c.Size), left: make([]bool, c.Size), changed: make(chan struct{}, 1), failed: make(chan struct{}),
		desks: make([]*desk, c.Size), store: newStore(), over: make(chan struct{}),
	}
	for n := range g.lanes {
		g.lanes[n] = &lane{Group: g, pipes: make([]*pipe, c.Size)}
	}
	ctx, stop := context.WithTimeoutCause(ctx, c.Times.Wait, errLate)
	defer stop()
	ctx, g.cancel = context.WithCancelCause(ctx)
	g.door = &door{listener: listener, receive: g.c.receive, admit: g.admit, log: c.Log}
	g.door.open()
	if c.Rank == 0 {
		err = g.coordinate(ctx)
	} else {
		err = g.meet(ctx)
	}
	g.door.close()
	if err != nil {
		g.fail(err)
		err = g.state() // the first one
		_ = g.Close()
		return nil, err
	}
	c.Log.Info("all workers are connected", "workers", c.Size)
	return g, nil
}

// coordinate is rank 0's part.
func (g *Group) coordinate(ctx context.Context) error {
	joined := func() []int { return g.ranksWhere(func(r int) bool { return g.links[r] == nil }) }
	for complete := false; !complete; {
		if err := g.until(ctx, "join", joined); err != nil {
			return err
		}
		g.change(func() { complete = len(joined()) == 0; g.mesh = complete })
	}
	addresses, err := json.Marshal(g.addresses) // nobody writes it any more
	if err != nil {
		return err
	}
	g.tellAll(table, addresses)
	unready := func() []int { return g.ranksWhere(func(r int) bool { return !g.piped(r) || !g.ready[r] }) }
	if err := g.until(ctx, "connect with each other", unready); err != nil {
		return err
	}
	g.tellAll(start, nil)
	return nil
}

// tellAll the others. Who cannot be told is lost, which its link shows.
func (g *Group) tellAll(kind frame, content []byte) {
	for _, l := range g.links {
		if l != nil {
			_ = l.send(kind, content)
		}
	}
}

// meet is the others' part.
func (g *Group) meet(ctx context.Context) error {
	for known := false; !known; {
		conn, err := g.dial(ctx, g.c.Coordinator, 0, joining)
		if err != nil {
			return err
		}
		g.change(func() { g.connect(0, conn) })
		g.c.Log.Info("joined, waiting until all workers have", "workers", g.c.Size)
		waiting := func() []int { return g.ranksWhere(func(r int) bool { return r == 0 && !g.mesh && g.links[0] != nil }) }
		if err := g.until(ctx, "say that all have joined", waiting); err != nil {
			return err
		}
		g.change(func() { known = g.mesh })
	}
	if err := g.reach(ctx); err != nil {
		return err
	}
	unconnected := func() []int { return g.ranksWhere(func(r int) bool { return !g.piped(r) || g.links[r] == nil }) }
	if err := g.until(ctx, "connect", unconnected); err != nil {
		return err
	}
	if err := g.links[0].send(ready, nil); err != nil {
		return lost(0, "%w", g.seen(err))
	}
	return g.until(ctx, "say that all are connected", func() []int {
		return g.ranksWhere(func(r int) bool { return r == 0 && !g.started })
	})
}

// reach the workers of lower rank.
func (g *Group) reach(ctx context.Context) error {
	conn, err := g.dial(ctx, g.c.Coordinator, 0, storing)
	if err != nil {
		return err
	}
	g.change(func() { g.seat(0, conn) })
	for rank := range g.c.Rank {
		address := g.c.Coordinator
		if rank > 0 {
			address = g.addresses[rank]
			conn, err := g.dial(ctx, address, rank, beating)
			if err != nil {
				return err
			}
			g.change(func() { g.connect(rank, conn) })
		}
		for n, l := range g.lanes {
			conn, err := g.dial(ctx, address, rank, exchanges+purpose(n))
			if err != nil {
				return err
			}
			g.change(func() { l.join(rank, conn) })
		}
	}
	return nil
}

// dial a worker until it answers as one of this attempt.
func (g *Group) dial(ctx context.Context, address string, rank int, p purpose) (net.Conn, error) {
	const most = 2 * time.Second
	pause, told := 100*time.Millisecond, time.Now()
	for {
		conn, err := g.try(ctx, address, rank, p)
		if err == nil {
			return conn, nil
		}
		if time.Since(told) >= tellTime {
			told = time.Now()
			g.c.Alive()
			g.c.Log.Info("waiting for a worker", "rank", rank, "address", address, "error", err.Error())
		}
		select {
		case <-ctx.Done():
			return nil, g.late(ctx, rank, fmt.Sprintf("it could not be reached at %s (%v)", address, err))
		case <-time.After(pause):
			pause = min(2*pause, most)
		}
	}
}

func (g *Group) try(ctx context.Context, address string, rank int, p purpose) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: handshakeTime}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	watched := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer watched()
	if err := g.c.introduce(conn, rank, introduction{p, g.c.Rank, g.door.port()}); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}
