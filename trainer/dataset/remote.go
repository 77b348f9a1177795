package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// How long a failing request is tried again, with waits that double up to the longest one and are up to half as much
// longer or shorter: workers that fail together do not come back together. Shorter than the watchdog's patience.
// Variables for the tests.
var (
	patience    = 5 * time.Minute
	longestWait = 30 * time.Second
	// namePatience is for how long a host's name that DNS does not know is asked for again: a Service may be as new as the run,
	// and CoreDNS remembers for 30 s, by its default, that there was none.
	namePatience = 30 * time.Second
)

// sayEvery is how often a failure that is tried again is told at most: all of a source's workers see an outage.
const sayEvery = 10 * time.Second

// remote is what the sources that are reached over a network have in common.
type remote struct {
	root string // URI, without a slash at its end
	// field of the API that has the dataset, denied what to do where access is denied: for messages.
	field, denied string
	warn          func(message string)

	reached atomic.Bool // it has answered once

	mu   sync.Mutex
	told time.Time
}

func newRemote(root string, o Options) *remote {
	return &remote{root: root, field: o.Field, warn: o.Warn}
}

func (r *remote) path(name string) string {
	if name == "" {
		return r.root
	}
	return r.root + "/" + name
}

// try does something with a file until it succeeds, fails for good, or has failed for too long: then the error is of
// the storage, exit 14. What fails for good is final's to say.
func try[T any](ctx context.Context, r *remote, name string, do func() (T, error)) (T, error) {
	var final error
	var unknown time.Time // since when DNS says that there is no such host
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.Multiplier, waits.MaxInterval = firstBackoff, 2, longestWait
	result, err := backoff.Retry(ctx, func() (T, error) {
		got, err := do()
		if err != nil && ctx.Err() == nil {
			if final = r.final(name, err); final == nil {
				final = r.noSuchHost(name, err, &unknown)
			}
			if final != nil {
				err = backoff.Permanent(final)
			}
		}
		return got, err
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(patience), backoff.WithNotify(func(err error, wait time.Duration) {
		r.say(fmt.Sprintf("%s: %s; trying again in %s", r.path(name), brief(err), wait.Round(100*time.Millisecond)))
	}))
	switch {
	case err == nil:
		r.reached.Store(true)
		return result, nil
	case ctx.Err() != nil:
		return result, ended(ctx)
	case final != nil:
		return result, final
	}
	return result, contract.Errorf(contract.ExitStorage, "DatasetFailed", "%s: gave up after trying for %s: %s", r.path(name), patience, brief(err))
}

// say that something is tried again, unless that was told a moment ago.
func (r *remote) say(message string) {
	r.mu.Lock()
	tell := r.warn != nil && time.Since(r.told) >= sayEvery
	if tell {
		r.told = time.Now()
	}
	r.mu.Unlock()
	if tell {
		r.warn(message)
	}
}

// ended is why a context has ended, in words that accessError knows.
func ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ctx.Err()) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), cause)
}

// remoteInfo of a file, or of a folder, which has nothing but a name.
type remoteInfo struct {
	name     string
	size     int64
	modified time.Time
	folder   bool
}

func (i remoteInfo) Name() string       { return i.name }
func (i remoteInfo) Size() int64        { return i.size }
func (i remoteInfo) ModTime() time.Time { return i.modified }
func (i remoteInfo) IsDir() bool        { return i.folder }
func (i remoteInfo) Sys() any           { return nil }
func (i remoteInfo) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
