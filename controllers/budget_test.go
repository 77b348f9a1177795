package controllers

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestDecide(t *testing.T) {
	device := outcome{kind: outcomeFailed, failure: v1alpha1.Failure{Node: "n2", ExitCode: new(int32(12))}}
	for name, tc := range map[string]struct {
		ledger      ledger
		outcome     outcome
		checkpoint  int64
		others, max int32
		want        decision
	}{
		"goes on":     {outcome: outcome{kind: outcomeRunning}, want: decision{action: actionWait}},
		"done":        {outcome: outcome{kind: outcomeDone}, want: decision{action: actionFinish}},
		"user error":  {outcome: outcome{kind: outcomeFatal}, max: 3, want: decision{action: actionFail}},
		"a failure":   {outcome: outcome{kind: outcomeFailed}, max: 1, want: decision{action: actionRestart, charged: true, next: ledger{charged: 1}, delay: 10 * time.Second}},
		"the last":    {ledger: ledger{charged: 1}, outcome: outcome{kind: outcomeFailed}, max: 1, want: decision{action: actionExhaust, charged: true}},
		"elsewhere":   {outcome: outcome{kind: outcomeFailed}, others: 1, max: 1, want: decision{action: actionExhaust, charged: true}},
		"none at all": {outcome: outcome{kind: outcomeFailed}, max: 0, want: decision{action: actionExhaust, charged: true}},
		"a disruption": {
			outcome: outcome{kind: outcomeDisrupted}, max: 0,
			want: decision{action: actionRestart, next: ledger{unchargedInRow: 1}},
		},
		"not started": {
			ledger: ledger{charged: 1}, outcome: outcome{kind: outcomeNotStarted},
			want: decision{action: actionBlock, next: ledger{charged: 1}},
		},
		"a lost result": {
			outcome: outcome{kind: outcomeLost}, max: 0,
			want: decision{action: actionRestart, next: ledger{unchargedInRow: 1}},
		},
		"third disruption, no newer checkpoint": {
			ledger: ledger{unchargedInRow: 2, checkpointStep: 7}, outcome: outcome{kind: outcomeDisrupted}, checkpoint: 7, max: 3,
			want: decision{action: actionRestart, charged: true, next: ledger{charged: 1, checkpointStep: 7}, delay: 10 * time.Second},
		},
		"third disruption, newer checkpoint": {
			ledger: ledger{unchargedInRow: 2, checkpointStep: 7}, outcome: outcome{kind: outcomeDisrupted}, checkpoint: 8, max: 3,
			want: decision{action: actionRestart, next: ledger{unchargedInRow: 1, checkpointStep: 8}},
		},
		"third disruption, no restart left": {
			ledger: ledger{unchargedInRow: 2}, outcome: outcome{kind: outcomeDisrupted},
			want: decision{action: actionExhaust, charged: true},
		},
		"a broken device": {
			ledger: ledger{avoid: []string{"n1"}}, outcome: device, max: 3,
			want: decision{action: actionRestart, charged: true, next: ledger{charged: 1, avoid: []string{"n1", "n2"}}, delay: 10 * time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := decide(tc.ledger, tc.outcome, tc.checkpoint, budget{tc.max, tc.others, 10 * time.Second})
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(decision{}, ledger{})); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDelay(t *testing.T) {
	const s = time.Second
	for backoff, wants := range map[time.Duration]map[int32]time.Duration{
		10 * s:  {1: 10 * s, 2: 20 * s, 4: 80 * s, 6: 300 * s, 1000: 300 * s},
		0:       {1: 0, 9: 0},
		1 * s:   {1: s, 3: 4 * s, 10: 300 * s},
		600 * s: {1: 600 * s, 5: 600 * s},
	} {
		for n, want := range wants {
			if got := (budget{backoff: backoff}).delay(n); got != want {
				t.Errorf("backoffSeconds %s, restart %d: %s, want %s", backoff, n, got, want)
			}
		}
	}
}
