package collective

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// door is where a worker lets others in until the group is complete. Whoever knocks cannot hold it up: of more than
// maxKnocking handshakes at once the oldest is given up, and each has a deadline. Who has proven to be of the group is
// not given up any more: it takes itself for connected as soon as it is answered.
type door struct {
	listener net.Listener
	receive  func(conn net.Conn, proven func() error) (introduction, error) // proven is called before the answer
	admit    func(net.Conn, introduction)
	log      *slog.Logger

	mu       sync.Mutex
	closed   bool
	knocking []net.Conn // the oldest first
	refused  int
	told     time.Time
	wg       sync.WaitGroup
}

const maxKnocking = 64

// open it: accept until close.
func (d *door) open() {
	d.wg.Go(func() {
		for {
			conn, err := d.listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // such as too many open files
				time.Sleep(50 * time.Millisecond)
				continue
			}
			if d.let(conn) {
				d.wg.Go(func() { d.handshake(conn) })
			}
		}
	})
}

// let a connection knock, for the oldest that does if there are too many.
func (d *door) let(conn net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		_ = conn.Close()
		return false
	}
	if len(d.knocking) >= maxKnocking {
		_ = d.knocking[0].Close() // its handshake fails
		d.knocking = d.knocking[1:]
	}
	d.knocking = append(d.knocking, conn)
	return true
}

func (d *door) handshake(conn net.Conn) {
	intro, err := d.receive(conn, func() error { return d.leave(conn) })
	_ = d.leave(conn)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && !d.closed {
		d.admit(conn, intro)
		return
	}
	_ = conn.Close()
	if d.refused++; err != nil && time.Since(d.told) > 10*time.Second {
		d.told = time.Now()
		d.log.Warn("refused a connection", "from", conn.RemoteAddr().String(), "reason", err.Error(), "refusedSoFar", d.refused)
	}
}

var errGivenUp = errors.New("it was given up for newer ones")

// leave those who knock, unless it was given up before.
func (d *door) leave(conn net.Conn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.knocking, conn)
	if i < 0 {
		return errGivenUp
	}
	d.knocking = slices.Delete(d.knocking, i, i+1)
	return nil
}

// port that it listens on.
func (d *door) port() int { return d.listener.Addr().(*net.TCPAddr).Port }

// close it: who still knocks is sent away.
func (d *door) close() {
	_ = d.listener.Close()
	d.mu.Lock()
	d.closed = true
	for _, c := range d.knocking {
		_ = c.Close()
	}
	d.mu.Unlock()
	d.wg.Wait()
}
