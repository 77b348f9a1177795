package collective

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// opened door on an address, with a handshake of one byte that goes on as receive says.
func opened(t *testing.T, receive func(conn net.Conn, proven func() error) error) (*door, chan net.Conn) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admitted := make(chan net.Conn, 1)
	d := &door{
		listener: l, log: slog.New(slog.DiscardHandler), admit: func(conn net.Conn, _ introduction) { admitted <- conn },
		receive: func(conn net.Conn, proven func() error) (introduction, error) {
			if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
				return introduction{}, err
			}
			return introduction{}, receive(conn, proven)
		},
	}
	d.open()
	t.Cleanup(d.close)
	return d, admitted
}

// crowd before a door: more than may knock at once, who stay.
func crowd(t *testing.T, d *door) {
	t.Helper()
	for range 2 * maxKnocking {
		conn := knock(t, d)
		t.Cleanup(func() { _ = conn.Close() })
	}
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		d.mu.Lock()
		full := len(d.knocking) == maxKnocking
		d.mu.Unlock()
		if full {
			return
		}
	}
	t.Error("the crowd did not come")
}

func knock(t *testing.T, d *door) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", d.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// Whoever has proven to be of the group is let in, however many come before it is answered; who has not yet gives way.
func TestACrowdBeforeTheDoor(t *testing.T) {
	for name, provenFirst := range map[string]bool{"who has proven itself": true, "who has not yet": false} {
		t.Run(name, func(t *testing.T) {
			nothingLeft(t)
			ready, done := make(chan *door, 1), make(chan error, 1)
			d, admitted := opened(t, func(_ net.Conn, proven func() error) error {
				d, err := <-ready, error(nil)
				if provenFirst {
					err = proven()
				}
				if crowd(t, d); !provenFirst {
					err = proven()
				}
				done <- err
				return err
			})
			ready <- d
			own := knock(t, d)
			defer own.Close()
			if _, err := own.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			if err := <-done; provenFirst != (err == nil) {
				t.Fatalf("it was told %v", err)
			}
			if provenFirst {
				conn := <-admitted
				defer conn.Close()
				if _, err := conn.Write([]byte("y")); err != nil {
					t.Errorf("it was let in, and then: %v", err)
				}
			}
		})
	}
}
