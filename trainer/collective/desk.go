package collective

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// desk is the connection of a worker with worker 0's store, at either end. Requests have numbers, as one that waits for its key is
// answered after later ones.
//
//	request → number, kind, wait in milliseconds, length of key, length of value; key, value
//	answer  ← number, status, length; value, or what is wrong
type desk struct {
	g    *Group
	rank int // of the other
	conn *net.TCPConn

	writing sync.Mutex
	mu      sync.Mutex
	number  uint64
	asked   map[uint64]chan answer // nil: nothing is read any more
	ended   error                  // why not
}

type requestKind byte

const (
	put requestKind = 1 + iota
	get
)

type request struct {
	kind  requestKind
	wait  time.Duration
	key   string
	value []byte
}

const (
	requestSize = 8 + 1 + 8 + 4 + 4
	answerSize  = 8 + 1 + 4
)

// status of an answer.
type status byte

const (
	fine status = iota
	noKey
	keyTaken
	tooMuch
)

var statusErrors = map[status]error{noKey: ErrNoKey, keyTaken: ErrKeyTaken, tooMuch: ErrTooMuch}

type answer struct {
	value []byte
	err   error
}

// seat makes a connection the desk of a worker. g.mu is held.
func (g *Group) seat(rank int, conn net.Conn) {
	if g.err != nil || g.closed {
		_ = conn.Close()
		return
	}
	if old := g.desks[rank]; old != nil {
		_ = old.conn.Close()
	}
	d := &desk{g: g, rank: rank, conn: conn.(*net.TCPConn), asked: map[uint64]chan answer{}}
	g.desks[rank] = d
	if g.c.Rank == 0 {
		g.wg.Go(d.serve)
		return
	}
	g.wg.Go(d.hear)
}

// ask is of the others: it sends a request and waits for its answer.
func (d *desk) ask(ctx context.Context, r request) ([]byte, error) {
	answered := make(chan answer, 1)
	d.mu.Lock()
	number := d.number
	d.number++
	err := d.ended
	if err == nil {
		d.asked[number] = answered
	}
	d.mu.Unlock()
	if err == nil {
		err = d.send(requestBytes(number, r), r.value)
	}
	if err != nil {
		return nil, d.broken(err)
	}
	select {
	case a := <-answered:
		if a.err != nil && !isStatus(a.err) {
			return nil, d.broken(a.err)
		}
		return a.value, a.err
	case <-d.g.over:
		return nil, d.g.state()
	case <-ctx.Done():
		d.mu.Lock()
		delete(d.asked, number)
		d.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// isStatus says whether an error is about a key, not of the group.
func isStatus(err error) bool {
	for _, e := range statusErrors {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// broken ends the group, unless it knows better why, and gives its error.
func (d *desk) broken(err error) error {
	d.g.broken(&pipe{rank: d.rank}, err)
	return d.g.state()
}

// send what belongs together.
func (d *desk) send(parts ...[]byte) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if err := d.conn.SetWriteDeadline(time.Now().Add(d.g.c.Times.Transfer)); err != nil {
		return err
	}
	b := net.Buffers(parts)
	_, err := b.WriteTo(d.conn)
	return err
}

// hear answers.
func (d *desk) hear() {
	r := bufio.NewReader(d.conn)
	for {
		number, a, err := readAnswer(r)
		if err != nil {
			d.end(err)
			return
		}
		d.mu.Lock()
		answered := d.asked[number]
		delete(d.asked, number)
		d.mu.Unlock()
		if answered != nil { // else nobody waits any more
			answered <- a
		}
	}
}

// end tells those who wait that no answer comes.
func (d *desk) end(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, answered := range d.asked {
		answered <- answer{err: err}
	}
	d.asked, d.ended = nil, err
}

// serve is worker 0's end. That the other is gone its heartbeats show.
func (d *desk) serve() {
	defer d.conn.Close()
	gone, leave := context.WithCancel(context.Background())
	defer leave()
	waiting := make(chan struct{}, askLimit)
	r := bufio.NewReader(d.conn)
	for {
		number, q, err := readRequest(r)
		if err != nil {
			return
		}
		waiting <- struct{}{} // where too many wait no more are read
		d.g.wg.Go(func() {
			value, err := d.g.store.serve(gone, q, d.g.over)
			if err == nil || isStatus(err) {
				_ = d.send(answerBytes(number, value, err)...) // who cannot be answered is gone, too
			}
			<-waiting
		})
	}
}

func requestBytes(number uint64, r request) []byte {
	b := binary.LittleEndian.AppendUint64(nil, number)
	b = binary.LittleEndian.AppendUint64(append(b, byte(r.kind)), uint64(r.wait.Milliseconds()))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.key)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.value)))
	return append(b, r.key...)
}

func readRequest(r io.Reader) (number uint64, q request, err error) {
	var head [requestSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, q, err
	}
	q.kind, q.wait = requestKind(head[8]), time.Duration(binary.LittleEndian.Uint64(head[9:]))*time.Millisecond
	key, value := binary.LittleEndian.Uint32(head[17:]), binary.LittleEndian.Uint32(head[21:])
	if q.kind != put && q.kind != get || key > KeyLimit || value > ValueLimit || q.wait < 0 || q.wait > mostWait {
		return 0, q, fmt.Errorf("a request of kind %d with a key of %d bytes and a value of %d", q.kind, key, value)
	}
	b := make([]byte, key+value)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, q, err
	}
	q.key, q.value = string(b[:key]), b[key:]
	return binary.LittleEndian.Uint64(head[:]), q, nil
}

func answerBytes(number uint64, value []byte, err error) [][]byte {
	s := fine
	for is, e := range statusErrors {
		if errors.Is(err, e) {
			s, value = is, []byte(strings.TrimPrefix(err.Error(), e.Error()))
		}
	}
	b := append(binary.LittleEndian.AppendUint64(nil, number), byte(s))
	return [][]byte{binary.LittleEndian.AppendUint32(b, uint32(len(value))), value}
}

func readAnswer(r io.Reader) (number uint64, a answer, err error) {
	var head [answerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, a, err
	}
	n := binary.LittleEndian.Uint32(head[9:])
	if n > ValueLimit {
		return 0, a, fmt.Errorf("an answer of %d bytes", n)
	}
	a.value = make([]byte, n)
	if _, err := io.ReadFull(r, a.value); err != nil {
		return 0, a, err
	}
	if s := status(head[8]); s != fine {
		e := statusErrors[s]
		if e == nil {
			return 0, a, fmt.Errorf("an answer of status %d", s)
		}
		a = answer{err: fmt.Errorf("%w%s", e, a.value)}
	}
	return binary.LittleEndian.Uint64(head[:]), a, nil
}
