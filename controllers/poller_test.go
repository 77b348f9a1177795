package controllers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
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
		"not JSON":   {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, wantErr: "not the contract's JSON"},
		"not finite": {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good + `,"loss":1e999}`)) }, wantErr: "not the contract's JSON"},
		"negative":   {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(good + `,"epoch":-1}`)) }, wantErr: "negative count"},
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
		{what: "a short silence", after: 29 * time.Second, err: context.DeadlineExceeded},
		{what: "a long silence", after: 2 * time.Second, err: context.DeadlineExceeded, wantWoken: 1, wantSilence: true},
		{what: "the same silence", after: 2 * time.Second, err: context.DeadlineExceeded},
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

func TestPercent(t *testing.T) {
	for name, tc := range map[string]struct {
		progress contract.Progress
		want     int32
	}{
		"nothing known":  {contract.Progress{}, 0},
		"steps":          {contract.Progress{Step: 42, TotalSteps: 100}, 42},
		"work":           {contract.Progress{Done: 1, Total: 3}, 33},
		"more than all":  {contract.Progress{Step: 9, TotalSteps: 3}, 100},
		"very many":      {contract.Progress{Step: 1 << 62, TotalSteps: 1<<63 - 1}, 50},
		"not there: 99%": {contract.Progress{Step: 999, TotalSteps: 1000}, 99},
	} {
		if got := percentOf(&tc.progress); got != tc.want {
			t.Errorf("%s: %d%%, want %d%%", name, got, tc.want)
		}
	}
}

func TestSummary(t *testing.T) {
	s := newScope(&v1alpha1.SimCLRRun{}, time.Unix(0, 0))
	st := s.stage("pretrain")
	s.active = &attempt{stage: "pretrain"}
	s.noteProgress(st, &contract.Progress{Step: 1, TotalSteps: 2, Loss: 5.25, ETASeconds: 720, ImagesPerSecond: 285})
	s.set(v1alpha1.ConditionProgressing, "True", reasonTraining, "runs")
	s.summarize()
	got := s.run.Status
	if got.Stage != "pretrain" || got.Progress != "50%" || got.Loss != "5.2500" || got.ETA != "12m" ||
		got.ImagesPerSecond != "285.0" || got.Message != "runs" {
		t.Errorf("status %+v", got)
	}
	s.set(v1alpha1.ConditionFailed, "True", reasonUserError, "bad data")
	s.active = nil
	s.summarize()
	if got := s.run.Status; got.Stage != "Failed" || got.Message != "bad data" || got.ETA != "" {
		t.Errorf("status of a failed run %+v", got)
	}
}
