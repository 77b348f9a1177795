package controllers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

func TestAskDoesNotTrustTheTrainer(t *testing.T) {
	const good = `{"schemaVersion":1,"stage":"pretrain","attempt":1,"step":3,"totalSteps":10`
	for name, tc := range map[string]struct {
		answer  func(http.ResponseWriter, *http.Request)
		wantErr string
	}{
		"good": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good + "}")) }},
		"a redirect": {
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
			},
			wantErr: "answers 302",
		},
		"too long": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(good + `,"phase":"` + strings.Repeat("x", contract.MaxProgressBytes) + `"}`))
			},
			wantErr: "more than 65536 bytes",
		},
		"long headers": {
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X", strings.Repeat("x", 64<<10))
				_, _ = w.Write([]byte(good + "}"))
			},
			wantErr: "server response headers exceeded",
		},
		"not JSON":                {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, wantErr: "not the contract's JSON"},
		"not finite":              {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good + `,"loss":1e999}`)) }, wantErr: "not the contract's JSON"},
		"negative":                {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good + `,"epoch":-1}`)) }, wantErr: "negative count"},
		"a negative epoch of kNN": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good + `,"knnEpoch":-1}`)) }, wantErr: "negative count"},
		"a health that is no number": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(good + `,"zEffectiveRank":1e999}`))
		}, wantErr: "not the contract's JSON"},
		"other stage": {answer: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"schemaVersion":1,"stage":"x"}`))
		}, wantErr: "another stage"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(tc.answer))
			defer server.Close()
			p := NewPoller(time.Second, testingclock.NewFakeClock(time.Unix(0, 0)))
			_, err := p.ask(t.Context(), Target{Stage: "pretrain", Attempt: 1, URL: server.URL})
			if (err == nil) != (tc.wantErr == "") || (err != nil && !strings.Contains(err.Error(), tc.wantErr)) {
				t.Errorf("error %v, want one with %q", err, tc.wantErr)
			}
		})
	}
}

func TestPollerWakesAtMostEveryInterval(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Unix(0, 0))
	p := NewPoller(30*time.Second, clock)
	p.jitter = unchanged
	run := types.NamespacedName{Namespace: "ns", Name: "run"}
	p.Watch(run, Target{Stage: "pretrain", Attempt: 1})
	entry := p.targets[run]
	hear := func(after time.Duration, err error, warnings ...string) (woken int, sample Sample) {
		clock.Step(after)
		p.heard(run, entry, contract.Progress{Warnings: warnings}, err)
		select {
		case <-p.wake:
			woken = 1
		default:
		}
		sample, _ = p.Take(run)
		return woken, sample
	}
	for i, tc := range []struct {
		what        string
		after       time.Duration
		err         error
		warnings    []string
		wantWoken   int
		wantSilence bool
		wantTold    int
	}{
		{what: "the first answer", warnings: []string{"a"}, wantWoken: 1, wantTold: 1},
		{what: "soon after", after: 2 * time.Second, warnings: []string{"a"}},
		{what: "after the interval", after: 28 * time.Second, warnings: []string{"a", "b"}, wantWoken: 1, wantTold: 1},
		{what: "no answer", after: 31 * time.Second, err: context.DeadlineExceeded},
		{what: "a short silence", after: 29 * time.Second, err: context.DeadlineExceeded},
		{what: "a long silence", after: 2 * time.Second, err: context.DeadlineExceeded, wantWoken: 1, wantSilence: true},
		{what: "the same silence", after: time.Minute, err: context.DeadlineExceeded},
		{what: "it answers again", after: 2 * time.Second, wantWoken: 1},
	} {
		woken, sample := hear(tc.after, tc.err, tc.warnings...)
		if woken != tc.wantWoken || (sample.Silence != "") != tc.wantSilence || len(sample.Progress.Warnings) != tc.wantTold {
			t.Errorf("%d, %s: woken %d, sample %+v", i, tc.what, woken, sample)
		}
	}
	p.Forget(run)
	if woken, _ := hear(time.Hour, nil); woken != 0 {
		t.Error("a run that is forgotten still wakes")
	}
}

// A trainer that answers is asked once an interval; one that does not at first after two seconds, then ever less often.
func TestPollerPace(t *testing.T) {
	refused := errors.New("connection refused")
	for name, tc := range map[string]struct {
		interval time.Duration // default: 30 s
		answers  []error
		want     []int // seconds from each answer to the next poll
	}{
		"it answers":         {answers: []error{nil, nil}, want: []int{30, 30}},
		"it does not answer": {answers: []error{refused, refused, refused, refused, refused, refused}, want: []int{2, 4, 8, 16, 30, 30}},
		"its silence is told when patience is over": {interval: 2 * time.Minute, answers: []error{nil, refused, refused, refused, refused, refused, refused}, want: []int{120, 2, 4, 8, 16, 32, 64}},
		"it starts late":          {answers: []error{refused, refused, nil}, want: []int{2, 4, 30}},
		"it is silent for a time": {answers: []error{nil, refused, refused, nil, refused}, want: []int{30, 2, 4, 30, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testingclock.NewFakeClock(time.Unix(0, 0))
			p := NewPoller(cmp.Or(tc.interval, 30*time.Second), clock)
			p.jitter = unchanged
			run := types.NamespacedName{Namespace: "ns", Name: "run"}
			p.Watch(run, Target{Stage: "pretrain", Attempt: 1})
			for i, err := range tc.answers {
				entry := p.due()[run]
				if entry == nil {
					t.Fatalf("poll %d is not due", i)
				}
				p.heard(run, entry, contract.Progress{}, err)
				if clock.Step(time.Duration(tc.want[i])*time.Second - pollTick/2 - time.Millisecond); len(p.due()) > 0 {
					t.Errorf("poll %d is due within %d s", i+1, tc.want[i])
				}
				clock.Step(pollTick/2 + time.Millisecond)
			}
		})
	}
}

// Of a hundred runs whose trainers start at once, those that answer are asked again, and those that do not are called silent, over
// seconds: not in the same one.
func TestPollerSpreads(t *testing.T) {
	const runs = 100
	for name, tc := range map[string]struct {
		err        error
		from, over time.Duration // after the first answers
	}{
		"they answer":        {from: 30 * time.Second, over: 3 * time.Second},
		"they do not answer": {err: errors.New("connection refused"), from: 30 * time.Second, over: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testingclock.NewFakeClock(time.Unix(0, 0))
			p := NewPoller(30*time.Second, clock)
			for i := range runs {
				p.Watch(types.NamespacedName{Name: strconv.Itoa(i)}, Target{Stage: "pretrain", Attempt: 1})
			}
			woken := func() int {
				for run, entry := range p.due() {
					p.heard(run, entry, contract.Progress{}, tc.err)
				}
				n := len(p.wake)
				for range n {
					<-p.wake
				}
				return n
			}
			woken()
			total, most := 0, 0
			for at := pollTick; at <= tc.from+tc.over+pollTimeout; at += pollTick {
				clock.Step(pollTick)
				n := woken()
				if total, most = total+n, max(most, n); n > 0 && at < tc.from-pollTick {
					t.Errorf("%d are due after %s", n, at)
				}
			}
			if total < runs {
				t.Errorf("%d of %d within %s", total, runs, tc.from+tc.over)
			}
			if most > runs/5 {
				t.Errorf("%d at once", most)
			}
		})
	}
}

func unchanged(d time.Duration, _ float64) time.Duration { return d }

// However many runs there are, and however slow their trainers.
func TestPollsAtOnceAreBounded(t *testing.T) {
	var asked atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		<-release
	}))
	defer server.Close()
	p := NewPoller(time.Second, testingclock.NewFakeClock(time.Unix(0, 0)))
	for i := range 3 * pollsAtOnce {
		p.Watch(types.NamespacedName{Name: strconv.Itoa(i)}, Target{URL: server.URL})
	}
	slots := make(chan struct{}, pollsAtOnce)
	round := make(chan struct{})
	go func() {
		p.round(t.Context(), slots)
		close(round)
	}()
	for deadline := time.Now().Add(pollTimeout / 2); asked.Load() <= pollsAtOnce && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	n := asked.Load()
	close(release)
	if n != pollsAtOnce {
		t.Errorf("%d polls at once, want %d", n, pollsAtOnce)
	}
	<-round
	for range pollsAtOnce {
		slots <- struct{}{} // all have ended
	}
	if n := asked.Load(); n != 3*pollsAtOnce {
		t.Errorf("a round asked %d trainers of %d", n, 3*pollsAtOnce)
	}
}
