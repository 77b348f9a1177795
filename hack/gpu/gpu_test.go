package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
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

// A machine whose C library is older than what the packed programs need is told so; else the program is started.
func TestCheckLooksAtGlibc(t *testing.T) {
	script, err := os.ReadFile("check.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		needed string
		code   int
		want   string
	}{
		"too old":    {"99.9", contract.ExitUserError, "needs glibc 99.9 or newer, and this machine has glibc 2."},
		"new enough": {"2.4", 7, "the program"},
	} {
		t.Run(name, func(t *testing.T) {
			pack := t.TempDir()
			if err := os.MkdirAll(filepath.Join(pack, "data", "test"), 0o777); err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"check.sh": string(script), "glibc": tc.needed + "\n", "gpu": "#!/bin/sh\necho the program\nexit 7\n"} {
				if err := os.WriteFile(filepath.Join(pack, file), []byte(text), 0o777); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.CommandContext(t.Context(), filepath.Join(pack, "check.sh")).CombinedOutput()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != tc.code || !strings.Contains(string(out), tc.want) {
				t.Errorf("%v, %s; want code %d and %q", err, out, tc.code, tc.want)
			}
		})
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

// Where one of two programs fails, the other's figures stand.
func TestRowOf(t *testing.T) {
	two, four := []float64{1, 2, 3}, []float64{4}
	for name, tc := range map[string]struct {
		ours, peer []float64
		want       []report.Row
	}{
		"both":         {two, four, []report.Row{report.NewRow("step", "images/s", 2, 4, new(1.0), report.Higher)}},
		"no peer":      {two, nil, []report.Row{{Case: "step", Unit: "images/s", Ours: 2, Better: report.Higher}}},
		"none of ours": {nil, four, nil},
	} {
		if d := cmp.Diff(tc.want, rowOf("step", tc.ours, tc.peer)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// The tests that are to run are the engine's: one that has another name now would not run, and nothing would say so.
func TestTheEngineHasTheTests(t *testing.T) {
	files, err := filepath.Glob("../../trainer/engine/xla/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(data)
	}
	for _, name := range strings.FieldsFunc(stepTests+operatorTests, func(r rune) bool { return strings.ContainsRune("^()|$", r) }) {
		if !strings.Contains(source.String(), "func "+name+"(t *testing.T) {") {
			t.Errorf("trainer/engine/xla has no %s", name)
		}
	}
}
