package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

func ofOperator(runs int, perSecond float64) measured {
	return measured{
		Runs: runs, Jobs: 3 * runs, Seconds: float64(3*runs) / perSecond, JobsPerSecond: perSecond, CompletionToNext: 0.5, ExitToNext: 1,
		AllCPUSeconds: 0.1 * float64(3*runs), PeakMiB: 100, CPUSeconds: 0.03 * float64(runs), Reconciles: 20 * float64(runs), Reads: 3 * float64(runs),
		ReconcileP99: 0.2, ActiveP99: 0.04, Unreachable: 3 * runs,
		Writes: map[string]int{"create jobs": 3 * runs, "update simclrruns/status": 13 * runs, "create events": 9 * runs, "patch events": runs},
	}
}

// find the row whose name ends so among those that begin so.
func find(t *testing.T, rows []report.Row, begin, end string) report.Row {
	t.Helper()
	for _, r := range rows {
		if strings.HasPrefix(r.Case, begin) && strings.HasSuffix(r.Case, ": "+end) {
			return r
		}
	}
	t.Fatalf("no row %s … %s", begin, end)
	return report.Row{}
}

func TestRows(t *testing.T) {
	pods := podTimes{60 * time.Second, 90 * time.Second}
	r := results{
		Pods:      pods.String(),
		Beside:    comparison{Plain: ofOperator(1000, 10), Ours: ofOperator(1000, 9.5)},
		Saturated: comparison{Plain: ofOperator(200, 50), Ours: ofOperator(200, 20)},
		Operator:  []measured{ofOperator(100, 1), ofOperator(1000, 9.5)},
		Ours:      ofOperator(100, 20),
		Peers:     []measured{{Name: "JobSet", Jobs: 300, Seconds: 30, CPUSeconds: 6, PeakMiB: 200, Writes: map[string]int{"create jobs": 300, "create events": 300}}},
	}
	rows := r.rows()
	const main, saturated, small = "1000 runs, pods of 60 to 90 s, beside a plain client", "200 runs, never idle, pods of 2 to 5 s", "100 runs, pods of 60 to 90 s: "
	float := func(v float64) *float64 { return &v }
	for name, c := range map[string]struct {
		begin, end string
		ours       float64
		peer       *float64
		target     *float64
	}{
		"the rate has a target":            {main, "Jobs", 9.5, float(10), float(0.9)},
		"the highest rate has none":        {saturated, "Jobs", 20, float(50), nil},
		"CPU":                              {main, "CPU of everything", 100, float(100), nil},
		"the wait's target is of ours":     {main, completionToNext, 0.5, float(0.5), float(1)},
		"progress is not among the writes": {main, "writes without events and progress", 13, nil, float(14)},
		"but has a row":                    {main, "writes of progress", 3, nil, nil},
		"events, new and repeated":         {main, "events", 10, nil, float(10)},
		"memory":                           {main, "resident memory at most", 100, nil, float(128)},
		"memory has no target elsewhere":   {saturated, "resident memory at most", 100, nil, nil},
		"reconciles of 1,000 runs":         {main, "reconcile p99, once every run trains", 0.04, nil, nil},
		"reconciles of 100 runs":           {small, "reconcile p99, once every run trains", 0.04, nil, float(0.05)},
		"all reconciles":                   {small, "reconcile p99, with the submission", 0.2, nil, nil},
		"a peer's time":                    {"300 Jobs beside JobSet", "time", 0.05, float(0.1), float(1)},
		"a peer's writes":                  {"300 Jobs beside JobSet", "writes with events", (3.0 + 10 + 10) / 3, float(2), float(1)},
	} {
		row := find(t, rows, c.begin, c.end)
		got := []any{row.Ours, row.Peer, row.Target}
		approx := cmp.Comparer(func(a, b float64) bool { return a-b < 1e-9 && b-a < 1e-9 })
		if diff := cmp.Diff([]any{c.ours, c.peer, c.target}, got, approx); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", name, row.Case, diff)
		}
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.Case] {
			t.Errorf("two rows %s", row.Case)
		}
		seen[row.Case] = true
	}
	r.Saturated = comparison{}
	for _, row := range r.rows() {
		if strings.Contains(row.Case, "never idle") {
			t.Errorf("row %s of what was not measured", row.Case)
		}
	}
}

func TestParseSizes(t *testing.T) {
	for list, want := range map[string][]int{"": nil, "100": {100}, "100,3000": {100, 3000}} {
		got, err := parseSizes(list)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", list, err, diff)
		}
	}
	for _, list := range []string{"0", "-1", "x", "100;300"} {
		if _, err := parseSizes(list); err == nil {
			t.Errorf("%q: no error", list)
		}
	}
}
