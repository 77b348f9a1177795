package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

// The targets.
const (
	targetRate      = 0.9
	targetNext      = 1.0 // s
	targetWrites    = 14.0
	targetEvents    = 10.0
	targetMemory    = 128.0 // MiB
	targetReconcile = 0.05  // s, with activeRuns
	activeRuns      = 100
)

func (r *results) write(output string) error {
	beside := r.Operator[0]
	slices.SortFunc(r.Operator, func(a, b measured) int { return cmp.Compare(a.Runs, b.Runs) })
	rows := r.rows(&beside)
	if err := os.MkdirAll(output, 0o755); err != nil {
		return err
	}
	if err := report.WriteJSON(filepath.Join(output, "operator-runs.json"), r); err != nil {
		return err
	}
	if err := report.WriteJSON(filepath.Join(output, "operator.json"), rows); err != nil {
		return err
	}
	fmt.Println(r.Machine)
	fmt.Println(r.Conditions)
	return report.Table(os.Stdout, rows)
}

// rows of all that was measured; beside is the operator's on the plain client's cluster.
func (r *results) rows(beside *measured) []report.Row {
	name := fmt.Sprintf("%d runs of 3 stages: ", beside.Runs)
	rows := []report.Row{
		report.NewRow(name+"Jobs beside a plain client's", "1/s", beside.JobsPerSecond, r.Ceiling.JobsPerSecond, new(targetRate), report.Higher),
		lower(name+"from a Job's completion to the next Job, p99", "s", beside.CompletionToNext, new(targetNext)),
		lower(name+"from a trainer's exit to the next Job, p99", "s", beside.ExitToNext, nil),
	}
	for i := range r.Operator {
		rows = append(rows, costs(&r.Operator[i], r.Operator[i].Runs == beside.Runs)...)
	}
	return rows
}

func costs(m *measured, main bool) []report.Row {
	name, runs := fmt.Sprintf("%d runs of 3 stages: ", m.Runs), float64(m.Runs)
	target := func(v float64, holds bool) *float64 {
		if !holds {
			return nil
		}
		return &v
	}
	events, others := m.writes()
	return []report.Row{
		lower(name+"resident memory at most", "MiB", m.PeakMiB, target(targetMemory, main)),
		lower(name+"writes without events", "1/run", float64(others)/runs, target(targetWrites, main)),
		lower(name+"events", "1/run", float64(events)/runs, target(targetEvents, main)),
		lower(name+"reads past the cache", "1/run", m.Reads/runs, nil),
		lower(name+"reconciles", "1/run", m.Reconciles/runs, nil),
		lower(name+"CPU", "ms/run", 1000*m.CPUSeconds/runs, nil),
		lower(name+"reconcile p99", "s", m.ReconcileP99, target(targetReconcile, m.Runs == activeRuns)),
	}
}

// lower is a row without a peer; less is better.
func lower(name, unit string, ours float64, target *float64) report.Row {
	return report.Row{Case: name, Unit: unit, Ours: ours, Target: target, Better: report.Lower}
}
