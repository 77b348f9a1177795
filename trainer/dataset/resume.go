package dataset

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// farFile is a file that is read over a network. Where the connection breaks, another one goes on at the same byte.
type farFile struct {
	*remote
	ctx     context.Context
	name    string
	connect func(ctx context.Context, offset int64) (connection, error)

	at      int64
	current connection
}

// connection gives a file's bytes from an offset on.
type connection struct {
	body io.ReadCloser
	// size of the whole file, -1 where it is not known, and what tells it from an older or newer one.
	size    int64
	version string

	cancel context.CancelFunc
	idle   *time.Timer // cancels
}

// openRemote opens a file at an offset.
func openRemote(ctx context.Context, r *remote, name string, offset int64, connect func(context.Context, int64) (connection, error)) (io.ReadCloser, int64, error) {
	f := &farFile{remote: r, ctx: ctx, name: name, connect: connect, at: offset}
	first, err := try(ctx, r, name, f.dial)
	if err != nil {
		return nil, 0, err
	}
	f.current = first
	return f, first.size, nil
}

// dial once. A server that is silent for too long is given up.
func (f *farFile) dial() (connection, error) {
	ctx, cancel := context.WithCancel(f.ctx)
	idle := time.AfterFunc(stallTimeout, cancel)
	c, err := f.connect(ctx, f.at)
	idle.Stop()
	if err != nil {
		cancel()
		return c, err
	}
	c.cancel, c.idle = cancel, idle
	return c, nil
}

// Read until the end of the file, or an error that trying again could not mend.
func (f *farFile) Read(p []byte) (int, error) {
	n, err := f.read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	first := err // is tried again after a wait, too
	var end error
	n, err = try(f.ctx, f.remote, f.name, func() (int, error) {
		if first != nil {
			err := first
			first = nil
			return 0, err
		}
		if f.current.body == nil {
			if err := f.redial(); err != nil {
				return 0, err
			}
		}
		n, err := f.read(p)
		if errors.Is(err, io.EOF) {
			end, err = io.EOF, nil
		}
		return n, err
	})
	if err == nil {
		err = end
	}
	return n, err
}

// read from the connection, which is closed where it is broken: one that ends before the file does, too.
func (f *farFile) read(p []byte) (int, error) {
	if f.current.body == nil {
		return 0, io.ErrClosedPipe
	}
	f.current.idle.Reset(stallTimeout)
	n, err := f.current.body.Read(p)
	f.current.idle.Stop()
	f.at += int64(n)
	switch {
	case n > 0 || err == nil:
		return n, nil // an error comes again
	case errors.Is(err, io.EOF) && f.at >= f.current.size:
		return 0, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	f.hangUp()
	return 0, err
}

// redial where the file is read on. It has to be the same file.
func (f *farFile) redial() error {
	c, err := f.dial()
	if err != nil {
		return err
	}
	size := f.current.size
	if c.size < 0 || size < 0 {
		c.size = max(c.size, size)
		size = c.size
	}
	if c.size != size || c.version != f.current.version {
		f.current = c
		f.hangUp()
		return contract.UserErrorf("DatasetChanged", "%s changed while it was read; do not change a dataset while a run uses it", f.path(f.name))
	}
	f.current = c
	return nil
}

func (f *farFile) hangUp() {
	if f.current.body == nil {
		return
	}
	f.current.cancel()
	_ = f.current.body.Close() // nothing was written
	f.current.body = nil
}

// Close ends the connection.
func (f *farFile) Close() error {
	f.hangUp()
	return nil
}
