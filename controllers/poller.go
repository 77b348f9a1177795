package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	pollTimeout  = 2 * time.Second        // also the least time between two polls of a trainer
	pollTick     = 250 * time.Millisecond // between two looks at who is due
	pollsAtOnce  = 64
	queuedEvents = 1024

	// Runs that are submitted at once start at once. Were they asked at once too, a hundred would write their status in the same
	// second every interval, each waiting for the others: so the interval is up to a tenth longer, and the patience up to a third.
	intervalJitter = 0.1
	patienceJitter = 1.0 / 3
)

// Target is where a run's progress is asked for.
type Target struct {
	Stage   string
	Attempt int32
	URL     string
}

// Sample is what a target last answered.
type Sample struct {
	Progress contract.Progress
	Answered bool   // since the target is polled
	Silence  string // why it has not answered for Patience; "" while it does
}

// Poller asks trainers for their progress, each once an Interval, and one that does not answer ever less often. It writes nothing: it
// wakes the reconciler, at most every Interval a run, which takes the sample.
type Poller struct {
	Interval time.Duration // between two samples of a run
	Patience time.Duration // before a silent trainer is called unreachable
	Clock    clock.WithTicker

	client *http.Client
	jitter func(d time.Duration, share float64) time.Duration // d, or up to that share of it longer
	wake   chan event.GenericEvent

	mu      sync.Mutex
	targets map[types.NamespacedName]*polled
}

type polled struct {
	target   Target
	patience time.Duration
	sample   Sample
	next     time.Time     // when it is polled again
	pause    time.Duration // before that, of one that does not answer
	silent   time.Time     // when it was first found not to answer; zero while it does
	news     bool          // that the reconciler is woken for whenever that was: an answer after silence, or silence
	woken    time.Time     // when the reconciler was last woken
	due      bool          // the reconciler may take the sample
	told     []string      // warnings that the reconciler has taken
	inFlight bool
}

// NewPoller makes a poller.
func NewPoller(interval time.Duration, c clock.WithTicker) *Poller {
	return &Poller{
		Interval: interval, Patience: 30 * time.Second, Clock: c,
		client: &http.Client{
			Timeout:       pollTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// A connection is not kept: each is to another pod, and with its buffers and two goroutines takes 20 KiB, of a thousand
			// runs a sixth of this process.
			Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10},
		},
		jitter:  wait.Jitter,
		wake:    make(chan event.GenericEvent, queuedEvents),
		targets: map[types.NamespacedName]*polled{},
	}
}

// NeedLeaderElection is true: only the leader polls.
func (p *Poller) NeedLeaderElection() bool { return true }

// Watch polls a run's target from now on, instead of any other of that run.
func (p *Poller) Watch(run types.NamespacedName, target Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.targets[run]; old == nil || old.target != target {
		p.targets[run] = &polled{target: target, patience: p.jitter(p.Patience, patienceJitter)}
	}
}

// Forget polls a run no more.
func (p *Poller) Forget(run types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.targets, run)
}

// Take is the run's sample, once after each waking, with the warnings that are new.
func (p *Poller) Take(run types.NamespacedName) (Sample, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entry := p.targets[run]
	if entry == nil || !entry.due {
		return Sample{}, false
	}
	entry.due = false
	sample := entry.sample
	sample.Progress.Warnings = slices.DeleteFunc(slices.Clone(sample.Progress.Warnings), func(w string) bool {
		return slices.Contains(entry.told, w)
	})
	entry.told = entry.sample.Progress.Warnings
	return sample, true
}

// Start polls until the context ends.
func (p *Poller) Start(ctx context.Context) error {
	ticker := p.Clock.NewTicker(pollTick)
	defer ticker.Stop()
	slots := make(chan struct{}, pollsAtOnce)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
			p.round(ctx, slots)
		}
	}
}

// round polls every run that is due, as slots become free: a thousand trainers that answer take a moment, and as many that do not
// answer half a minute.
func (p *Poller) round(ctx context.Context, slots chan struct{}) {
	for run, entry := range p.due() {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		go func() {
			defer func() { <-slots }()
			if !p.wanted(run, entry) {
				return
			}
			progress, err := p.ask(ctx, entry.target)
			measured.poll(err)
			p.heard(run, entry, progress, err)
		}()
	}
}

// due are the entries to poll, which are under way from now on.
func (p *Poller) due() map[types.NamespacedName]*polled {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, due := p.Clock.Now().Add(pollTick/2), map[types.NamespacedName]*polled{} // rather a moment early than a round late
	for run, entry := range p.targets {
		if !entry.inFlight && !now.Before(entry.next) {
			entry.inFlight = true
			due[run] = entry
		}
	}
	return due
}

// wanted says whether an entry is still the run's.
func (p *Poller) wanted(run types.NamespacedName, entry *polled) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.targets[run] == entry
}

// ask reads one answer; it comes from an image that need not be ours.
func (p *Poller) ask(ctx context.Context, target Target) (contract.Progress, error) {
	var progress contract.Progress
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.URL, nil)
	if err != nil {
		return progress, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return progress, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return progress, fmt.Errorf("/progress answers %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, contract.MaxProgressBytes+1))
	if err != nil {
		return progress, err
	}
	if len(body) > contract.MaxProgressBytes {
		return progress, fmt.Errorf("/progress answers more than %d bytes", contract.MaxProgressBytes)
	}
	if err := json.Unmarshal(body, &progress); err != nil {
		return progress, errors.New("/progress is not the contract's JSON")
	}
	err = checkProgress(&progress, target)
	return progress, err
}

// heard keeps an answer, or its absence, says when the next is asked for, and wakes the reconciler where it is time to.
func (p *Poller) heard(run types.NamespacedName, entry *polled, progress contract.Progress, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	entry.inFlight = false
	if p.targets[run] != entry {
		return
	}
	now := p.Clock.Now()
	entry.news = entry.keep(now, progress, err) || entry.news
	entry.next = now.Add(p.pause(entry, now, err))
	if !entry.news && (err != nil || now.Sub(entry.woken) < p.Interval) {
		return
	}
	select {
	case p.wake <- event.GenericEvent{Object: &v1alpha1.SimCLRRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: run.Namespace, Name: run.Name},
	}}:
		entry.woken, entry.due, entry.news = now, true, false
	default: // the queue is full: the next answer wakes
		entry.next = now.Add(pollTimeout)
	}
}

// pause before the next poll: the interval after an answer, else twice the last one, and the patience's end is met.
func (p *Poller) pause(e *polled, now time.Time, err error) time.Duration {
	if e.pause = min(2*e.pause, p.Interval); err == nil {
		e.pause = p.jitter(p.Interval, intervalJitter)
	}
	e.pause = max(e.pause, pollTimeout)
	if left := e.silent.Add(e.patience).Sub(now); err != nil && left > 0 && left < e.pause+pollTimeout {
		return max(left, pollTimeout)
	}
	return e.pause
}

// keep an answer, or after the patience its absence. It says whether an answer or silence is new.
func (e *polled) keep(now time.Time, progress contract.Progress, err error) (turned bool) {
	if err == nil {
		turned = e.sample.Silence != "" || !e.sample.Answered
		e.sample, e.silent = Sample{Progress: progress, Answered: true}, time.Time{}
		return turned
	}
	if e.silent.IsZero() {
		e.silent, e.pause = now, 0
	}
	if now.Sub(e.silent) < e.patience {
		return false
	}
	turned = e.sample.Silence == ""
	e.sample.Silence = clean(err.Error(), 256)
	return turned
}
