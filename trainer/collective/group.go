package collective

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Group is this worker's part of several that are connected over TCP. Where one is lost, or makes another call than
// the others, the group ends on all of them: every call gives the first error from then on.
type Group struct {
	c    Config
	door *door
	wg   sync.WaitGroup // of all goroutines but the door's

	mu        sync.Mutex
	links     []*link  // by rank, nil for this worker
	addresses []string // of the listeners, by rank; known to rank 0 as they join
	mesh      bool     // all addresses are known: from now on a worker that is gone is lost
	ready     []bool   // of rank 0
	started   bool
	left      []bool // said that they are done
	closed    bool
	err       error
	changed   chan struct{} // one of the above has
	failed    chan struct{} // err is set
	cancel    context.CancelCauseFunc

	lanes [lanes]*lane
	desks []*desk       // by rank: of rank 0 with each other one, of those with rank 0
	store *store        // rank 0's
	over  chan struct{} // closed when the group has failed or was closed
}

// Rank of this worker.
func (g *Group) Rank() int { return g.c.Rank }

// Size is the number of workers.
func (g *Group) Size() int { return g.c.Size }

// change runs f on the group's state, and wakes who waits for it.
func (g *Group) change(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// admit a connection whose other end has proven what it is.
func (g *Group) admit(conn net.Conn, intro introduction) {
	switch {
	case intro.purpose == joining && g.c.Rank == 0:
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String()) // it is HOST:PORT
		g.change(func() {
			if g.mesh { // late, and not one of those who were told
				_ = conn.Close()
				return
			}
			g.addresses[intro.rank] = net.JoinHostPort(host, strconv.Itoa(intro.port))
			g.connect(intro.rank, conn)
		})
	case intro.purpose == beating:
		g.change(func() { g.connect(intro.rank, conn) })
	case intro.purpose == storing && g.c.Rank == 0:
		g.change(func() { g.seat(intro.rank, conn) })
	default:
		if n, ok := laneOf(intro.purpose); ok {
			g.change(func() { g.lanes[n].join(intro.rank, conn) })
			return
		}
		_ = conn.Close()
	}
}

// connect makes a connection the link to a worker, in place of an older one. g.mu is held.
func (g *Group) connect(rank int, conn net.Conn) {
	if g.err != nil || g.closed {
		_ = conn.Close()
		return
	}
	if old := g.links[rank]; old != nil {
		_ = old.conn.Close()
	}
	g.links[rank] = &link{g: g, rank: rank, conn: conn.(*net.TCPConn), ended: make(chan struct{})}
	g.links[rank].run()
}

// down: a link has ended. Before the workers know each other it may come again.
func (g *Group) down(l *link, err error) {
	isLost := false
	g.change(func() {
		if g.links[l.rank] != l {
			return // another has taken its place
		}
		if isLost = g.mesh; !isLost {
			g.links[l.rank] = nil
		}
	})
	if isLost {
		g.fail(lost(l.rank, "%w", g.seen(err)))
	}
}

// leaves: a worker says that it is done. That is an error only for who still needs it.
func (g *Group) leaves(l *link) {
	g.change(func() {
		if g.links[l.rank] == l {
			g.left[l.rank] = true
		}
	})
}

// lastWords of a worker that gives up.
type lastWords struct {
	Lost     int    `json:"lost"`           // rank
	Code     int    `json:"code,omitempty"` // exit code, of a worker that was stopped
	Mismatch bool   `json:"mismatch,omitempty"`
	Text     string `json:"text"`
}

// told: another worker has something to say.
func (g *Group) told(l *link, kind frame, content []byte) {
	switch kind {
	case table:
		var addresses []string
		if err := json.Unmarshal(content, &addresses); err != nil || len(addresses) != g.c.Size {
			g.fail(fmt.Errorf("worker %d sent no table of %d addresses: %q", l.rank, g.c.Size, content))
			return
		}
		g.change(func() { g.addresses, g.mesh = addresses, true })
	case ready:
		g.change(func() { g.ready[l.rank] = true })
	case start:
		g.change(func() { g.started = true })
	case abort:
		g.aborted(l, content)
	default:
		g.fail(fmt.Errorf("worker %d sent a message of the unknown kind %d", l.rank, kind))
	}
}

func (g *Group) aborted(l *link, content []byte) {
	var w lastWords
	if err := json.Unmarshal(content, &w); err != nil {
		w = lastWords{Lost: l.rank, Text: "it gave up"}
	}
	g.mu.Lock()
	waiting := !g.mesh && g.c.Rank == 0
	g.mu.Unlock()
	switch {
	case waiting: // its place is free for another
		g.down(l, errors.New(w.Text))
	case w.Mismatch:
		g.fail(&MismatchError{w.Text})
	case w.Code == contract.ExitTerminate || w.Code == contract.ExitInterrupt: // then all are
		g.fail(&contract.Error{Code: w.Code, Reason: "Stopped", Err: &LostError{w.Lost, errors.New(w.Text)}})
	case w.Lost == l.rank:
		g.fail(lost(w.Lost, "%s", w.Text))
	default:
		g.fail(lost(w.Lost, "%s (says worker %d)", w.Text, l.rank))
	}
}

const textLimit = 4 << 10 // bytes of last words

// fail ends the group, here at once and on the others as soon as they are told. The first error stays.
func (g *Group) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil || g.closed {
		return
	}
	g.err = err
	close(g.failed)
	close(g.over)
	g.cancel(err)
	w := lastWords{Lost: g.c.Rank, Code: contract.ExitCode(err), Text: "it ended: " + err.Error()}
	if l, ok := errors.AsType[*LostError](err); ok {
		w.Lost, w.Text = l.Rank, l.Err.Error()
	} else if m, ok := errors.AsType[*MismatchError](err); ok {
		w.Mismatch, w.Text = true, m.What
	}
	w.Text = w.Text[:min(len(w.Text), textLimit)]
	content, err := json.Marshal(w)
	if err != nil { // of numbers and a text there is none
		content = nil
	}
	g.closePipes()
	for _, l := range g.links {
		if l != nil {
			g.wg.Go(func() { l.leave(abort, content) })
		}
	}
}

// Fail tells the others that this worker ends, and why: they need not wait for what it will not do.
func (g *Group) Fail(err error) { g.fail(err) }

// Failed is closed when the group has ended with an error, which Err gives: so that a worker that is busy learns of it
// before its next call.
func (g *Group) Failed() <-chan struct{} { return g.failed }

// Err is the error that ended the group; nil as long as none has.
func (g *Group) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// Close ends this worker's part. The others see that as an error where they call for it again.
func (g *Group) Close() error {
	g.mu.Lock()
	if !g.closed && g.err == nil {
		for _, l := range g.links {
			if l != nil {
				g.wg.Go(func() { l.leave(bye, nil) })
			}
		}
		g.closePipes()
		close(g.over)
	}
	g.closed = true
	g.cancel(net.ErrClosed)
	g.mu.Unlock()
	g.wg.Wait()
	return nil
}

// state is the error of a group that has ended.
func (g *Group) state() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil && g.closed {
		return net.ErrClosed
	}
	return g.err
}

const (
	tellTime = 10 * time.Second // between two lines that say who is missing
	patience = time.Second      // for a link to say why a pipe broke
)

// until waits for those who are missing, none at last.
func (g *Group) until(ctx context.Context, what string, missing func() []int) error {
	tick := time.NewTicker(tellTime)
	defer tick.Stop()
	for {
		g.mu.Lock()
		who := missing()
		g.mu.Unlock()
		if len(who) == 0 {
			return nil
		}
		select {
		case <-g.changed:
		case <-tick.C:
			g.c.Alive() // waiting is all there is to do
			g.c.Log.Info("waiting for workers", "ranks", fmt.Sprint(who), "to", what)
		case <-ctx.Done():
			return g.late(ctx, who[0], fmt.Sprintf("workers %v did not %s", who, what))
		}
	}
}

var errLate = errors.New("the time is over")

// late is the error of a wait for a worker that has ended without it.
func (g *Group) late(ctx context.Context, rank int, what string) error {
	if cause := context.Cause(ctx); !errors.Is(cause, errLate) {
		return cause
	}
	return lost(rank, "%s within %v", what, g.c.Times.Wait)
}

// ranksWhere a condition holds, of the others.
func (g *Group) ranksWhere(f func(rank int) bool) []int {
	var ranks []int
	for rank := range g.c.Size {
		if rank != g.c.Rank && f(rank) {
			ranks = append(ranks, rank)
		}
	}
	return slices.Clip(ranks)
}
