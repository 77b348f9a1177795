package main

import (
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const tests = `=== RUN   TestA
    --- PASS: TestA/one (0.01s)
    --- FAIL: TestA/two (0.02s)
        a_test.go:7: differs by 1.0e-03
--- FAIL: TestA (0.03s)
--- PASS: TestB (0.10s)
--- SKIP: TestC (0.00s)
FAIL
`

// Subtests count, not what has them.
func TestOutcomes(t *testing.T) {
	if passed, failed := outcomes(tests); passed != 2 || failed != 1 {
		t.Errorf("%d passed, %d failed", passed, failed)
	}
	if text := firstFailure(tests); text != "a_test.go:7: differs by 1.0e-03" {
		t.Errorf("the first failure is %q", text)
	}
}

// Of nvidia-smi's samples those between two moments count; what is no number does not.
func TestBusy(t *testing.T) {
	w := &watch{stop: func() {}, done: make(chan struct{})}
	close(w.done)
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for s, line := range []string{"0", " 80 ", "[N/A]", "100", "7"} {
		w.heard(line, at(int64(s)))
	}
	if busy, n := w.busy(at(0), at(3)); busy != 90 || n != 2 {
		t.Errorf("%.1f%% of %d samples", busy, n)
	}
	if busy, n := w.busy(at(10), at(11)); busy != 0 || n != 0 {
		t.Errorf("%.1f%% of no samples, %d", busy, n)
	}
}

// The run has the epochs that there is time for, and no more than it wants.
func TestAffordable(t *testing.T) {
	for name, tc := range map[string]struct {
		left time.Duration
		rate float64
		want int32
	}{
		"all":       {time.Hour, 50000, 100},
		"as many":   {rest + 20*time.Second + time.Second/2, 50000, 20},
		"none":      {rest - time.Second, 50000, 0},
		"not whole": {rest + 10*time.Second, 4000, 0},
	} {
		c := &check{end: time.Now().Add(tc.left)}
		c.o.cifar10.epochs = 100
		if got := c.affordable(tc.rate, v1alpha1.SimCLRRun{}); got != tc.want {
			t.Errorf("%s: %d epochs, want %d", name, got, tc.want)
		}
	}
}
