package collective

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// frame is a message of a link: kind, length, content.
type frame byte

const (
	beat  frame = 1 + iota // units of work that the sender has finished
	table                  // where the workers listen, from rank 0
	ready                  // the sender has all its connections, to rank 0
	start                  // all have, from rank 0
	bye                    // the sender is done
	abort                  // the sender gives up, and why
)

const (
	frameLimit = 64 << 10        // bytes of content
	drainTime  = 2 * time.Second // that who ends a link waits for the other to see it
)

// link is the connection of two workers that carries heartbeats and what one has to tell the other beside
// collectives, so that neither ever waits behind values or for a worker that is busy.
type link struct {
	g     *Group
	rank  int // of the other
	conn  *net.TCPConn
	ended chan struct{} // nothing is read any more

	writing sync.Mutex
	reading sync.Mutex // of the deadline and of:
	over    bool       // nothing that comes matters any more
}

// run a link: listen, and beat until that ends.
func (l *link) run() {
	l.g.wg.Go(l.listen)
	l.g.wg.Go(func() {
		tick := time.NewTicker(l.g.c.Times.Beat)
		defer tick.Stop()
		for {
			// an error shows in reading too
			_ = l.send(beat, binary.LittleEndian.AppendUint64(nil, l.g.c.Units()))
			select {
			case <-l.ended:
				return
			case <-tick.C:
			}
		}
	})
}

func (l *link) send(kind frame, content []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(drainTime)); err != nil {
		return err
	}
	b := append([]byte{byte(kind)}, binary.LittleEndian.AppendUint32(nil, uint32(len(content)))...)
	_, err := l.conn.Write(append(b, content...))
	return err
}

func (l *link) listen() {
	defer close(l.ended)
	defer l.conn.Close()
	r := bufio.NewReader(&watched{l: l})
	units := uint64(0)
	for {
		kind, content, err := readFrame(r)
		switch over := l.isOver(); {
		case over && err != nil:
			return
		case over:
		case err != nil:
			l.g.down(l, err)
			return
		case kind == beat:
			if now := binary.LittleEndian.Uint64(content); now != units {
				units = now
				l.g.c.Alive()
			}
		case kind == bye:
			l.g.leaves(l)
			return
		default:
			l.g.told(l, kind, content)
		}
	}
}

// looks that Times.Lost is divided into: a worker is lost when it was silent at each.
const looks = 4

// watched reads a link and ends when nothing came for Times.Lost. That is not one deadline: where this process itself
// did not run for so long (stopped, or its node was), it would find the deadline over with heartbeats unread. It can
// miss but one look.
type watched struct{ l *link }

func (w *watched) Read(b []byte) (int, error) {
	for look := 1; ; look++ {
		w.l.expect()
		n, err := w.l.conn.Read(b)
		if n > 0 || look == looks || !errors.Is(err, os.ErrDeadlineExceeded) || w.l.isOver() {
			return n, err
		}
	}
}

// expect something until the next look.
func (l *link) expect() {
	l.reading.Lock()
	defer l.reading.Unlock()
	if !l.over {
		_ = l.conn.SetReadDeadline(time.Now().Add(l.g.c.Times.Lost / looks)) // of a closed connection: reading tells
	}
}

func (l *link) isOver() bool {
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.over
}

// leave tells the other the last thing and waits until it has seen the end, for some time: a connection that is closed
// with something unread would take what it told with it.
func (l *link) leave(kind frame, content []byte) {
	_ = l.send(kind, content) // who is gone is not told
	l.reading.Lock()
	l.over = true
	_ = l.conn.SetReadDeadline(time.Now().Add(drainTime))
	l.reading.Unlock()
	_ = l.conn.CloseWrite()
	<-l.ended
}

func readFrame(r io.Reader) (frame, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	kind, n := frame(head[0]), binary.LittleEndian.Uint32(head[1:])
	if n > frameLimit || kind == beat && n != 8 {
		return 0, nil, fmt.Errorf("a message of kind %d with %d bytes", kind, n)
	}
	content := make([]byte, n)
	_, err := io.ReadFull(r, content)
	return kind, content, err
}

// seen says what an error of a connection means.
func (g *Group) seen(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no heartbeat for %v: it is stopped, or the network to it is cut", g.c.Times.Lost)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("its process has ended")
	}
	return err
}
