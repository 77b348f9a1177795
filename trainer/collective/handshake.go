package collective

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Each connection begins with a mutual challenge and response: both ends prove that they know the run's key, and that they
// are of the same attempt, without showing it. What was not proven is never parsed: a stranger can send
// greeting and answer, both of fixed length, within handshakeTime.
//
//	dialer   → greeting: magic, nonce
//	listener → nonce
//	dialer   → answer: purpose, rank, port, HMAC("dialer", …)
//	listener → HMAC("listener", …)

const (
	magic         = "SIMCLR\x00\x01"
	handshakeTime = 5 * time.Second
	nonceSize     = 32
)

// purpose of a connection.
type purpose byte

const (
	joining   purpose = 1 + iota // a worker's with rank 0, later their heartbeats
	beating                      // heartbeats of two others
	exchanges                    // the values of collectives, of the first lane; those of others follow

	storing purpose = 64 // a worker's with rank 0's store
)

// introduction is what a dialer says of itself.
type introduction struct {
	purpose purpose
	rank    int
	port    int // that it listens on
}

const introductionSize = 1 + 4 + 2

func (i introduction) bytes() []byte {
	b := []byte{byte(i.purpose)}
	b = binary.LittleEndian.AppendUint32(b, uint32(i.rank))
	return binary.LittleEndian.AppendUint16(b, uint16(i.port))
}

func introductionFrom(b []byte) introduction {
	return introduction{purpose(b[0]), int(binary.LittleEndian.Uint32(b[1:])), int(binary.LittleEndian.Uint16(b[5:]))}
}

// proof that one end of a connection to a worker gives.
func (c *Config) proof(side string, to int, intro introduction, dialer, listener []byte) []byte {
	m := hmac.New(sha256.New, c.Key)
	for _, field := range [][]byte{
		[]byte(magic), []byte(side), []byte(c.Run), []byte(c.Stage), fmt.Appendf(nil, "%d of %d to %d", c.Attempt, c.Size, to),
		intro.bytes(), dialer, listener,
	} {
		m.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(field)))) // so that fields cannot flow into each other
		m.Write(field)
	}
	return m.Sum(nil)
}

var errStranger = errors.New("it is of another run, stage or attempt, or has another key")

// introduce this worker to the listener of another.
func (c *Config) introduce(conn net.Conn, to int, intro introduction) error {
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	dialer, listener := nonce(), make([]byte, nonceSize)
	if _, err := conn.Write(append([]byte(magic), dialer...)); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, listener); err != nil {
		return err
	}
	if _, err := conn.Write(append(intro.bytes(), c.proof("dialer", to, intro, dialer, listener)...)); err != nil {
		return err
	}
	got := make([]byte, sha256.Size)
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("%w: it does not take this worker (%w)", errStranger, err)
	}
	if !hmac.Equal(got, c.proof("listener", to, intro, dialer, listener)) {
		return errStranger
	}
	return conn.SetDeadline(time.Time{})
}

// receive a connection, if it is another worker's of this attempt. It is answered once it has proven that, unless proven
// has an error.
func (c *Config) receive(conn net.Conn, proven func() error) (introduction, error) {
	var intro introduction
	if err := conn.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return intro, err
	}
	greeting := make([]byte, len(magic)+nonceSize)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return intro, err
	}
	if string(greeting[:len(magic)]) != magic {
		return intro, errors.New("it does not speak this protocol")
	}
	dialer, listener := greeting[len(magic):], nonce()
	if _, err := conn.Write(listener); err != nil {
		return intro, err
	}
	answer := make([]byte, introductionSize+sha256.Size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return intro, err
	}
	intro = introductionFrom(answer)
	if !hmac.Equal(answer[introductionSize:], c.proof("dialer", c.Rank, intro, dialer, listener)) {
		return intro, errStranger
	}
	if intro.rank <= c.Rank || intro.rank >= c.Size {
		return intro, fmt.Errorf("rank %d of %d has nothing to ask of rank %d", intro.rank, c.Size, c.Rank)
	}
	if err := proven(); err != nil {
		return intro, err
	}
	if _, err := conn.Write(c.proof("listener", c.Rank, intro, dialer, listener)); err != nil {
		return intro, err
	}
	return intro, conn.SetDeadline(time.Time{})
}

func nonce() []byte {
	b := make([]byte, nonceSize)
	_, _ = rand.Read(b) // it never fails (crypto/rand)
	return b
}
