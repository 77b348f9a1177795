package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

// Targets, as docs/performance.md has them.
const (
	targetRate      = 0.9
	targetNext      = 1.0 // s
	targetWrites    = 14.0
	targetEvents    = 10.0
	targetMemory    = 128.0 // MiB
	targetReconcile = 0.05  // s, with activeRuns, alone and in pods that take their time
	activeRuns      = 100
)

func (r *results) write(output string) error {
	slices.SortFunc(r.Operator, func(a, b measured) int { return cmp.Compare(a.Runs, b.Runs) })
	rows := r.rows()
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
	fmt.Println(r.Conditions + "; " + r.Pods)
	return report.Table(os.Stdout, rows)
}

// rows of all that was measured.
func (r *results) rows() []report.Row {
	var rows []report.Row
	if r.Beside.Ours.Runs > 0 {
		rows = beside(&r.Beside, r.Pods, true)
	}
	if r.Saturated.Ours.Runs > 0 {
		rows = append(rows, beside(&r.Saturated, "never idle, "+shortPods.String(), false)...)
	}
	for i := range r.Peers {
		rows = append(rows, r.perJob(&r.Peers[i])...)
	}
	for i := range r.Operator {
		m := &r.Operator[i]
		if m.Runs == r.Beside.Ours.Runs {
			continue // it is beside the plain client
		}
		name := fmt.Sprintf("%d runs, %s: ", m.Runs, r.Pods)
		rows = append(rows, lower(name+completionToNext, "s", m.CompletionToNext, nil))
		rows = append(rows, costs(m, name, false, m.Runs == activeRuns)...)
	}
	return rows
}

const completionToNext = "from a Job's completion to the next Job, p99"

// beside the plain client; the targets are of a machine that could do more.
func beside(c *comparison, conditions string, targets bool) []report.Row {
	ours, plain := &c.Ours, &c.Plain
	name := fmt.Sprintf("%d runs, %s, beside a plain client: ", ours.Runs, conditions)
	perJob := func(m *measured) float64 { return 1000 * m.AllCPUSeconds / float64(m.Jobs) }
	rows := []report.Row{
		report.NewRow(name+"Jobs", "1/s", ours.JobsPerSecond, plain.JobsPerSecond, target(targetRate, targets), report.Higher),
		report.NewRow(name+"CPU of everything", "ms/Job", perJob(ours), perJob(plain), nil, report.Lower),
		withPeer(name+completionToNext, "s", ours.CompletionToNext, plain.CompletionToNext, target(targetNext, targets)),
		withPeer(name+"from a trainer's exit to the next Job, p99", "s", ours.ExitToNext, plain.ExitToNext, nil),
	}
	return append(rows, costs(ours, name, targets, targets && ours.Runs == activeRuns)...)
}

func target(v float64, holds bool) *float64 {
	if !holds {
		return nil
	}
	return &v
}

// perJob sets ours beside a peer's: the targets are of the ratio.
func (r *results) perJob(peer *measured) []report.Row {
	name := fmt.Sprintf("%d Jobs beside %s: ", peer.Jobs, peer.Name)
	row := func(what, unit string, of func(*measured) float64) report.Row {
		return report.NewRow(name+what, unit, of(&r.Ours), of(peer), new(1.0), report.Lower)
	}
	return []report.Row{
		row("time", "s/Job", func(m *measured) float64 { return m.Seconds / float64(m.Jobs) }),
		row("CPU", "ms/Job", func(m *measured) float64 { return 1000 * m.CPUSeconds / float64(m.Jobs) }),
		row("resident memory at most", "MiB", func(m *measured) float64 { return m.PeakMiB }),
		row("writes with events", "1/Job", func(m *measured) float64 {
			events, others := m.writes()
			return float64(events+others) / float64(m.Jobs)
		}),
	}
}

func costs(m *measured, name string, targets, reconcileTarget bool) []report.Row {
	runs := float64(m.Runs)
	events, others := m.writes()
	return []report.Row{
		lower(name+"resident memory at most", "MiB", m.PeakMiB, target(targetMemory, targets)),
		lower(name+"writes without events and progress", "1/run", float64(others)/runs, target(targetWrites, targets)),
		lower(name+"events", "1/run", float64(events)/runs, target(targetEvents, targets)),
		lower(name+"writes of progress", "1/run", float64(m.Unreachable)/runs, nil),
		lower(name+"reads past the cache", "1/run", m.Reads/runs, nil),
		lower(name+"reconciles", "1/run", m.Reconciles/runs, nil),
		lower(name+"CPU", "ms/run", 1000*m.CPUSeconds/runs, nil),
		lower(name+"reconcile p99, once every run trains", "s", m.ActiveP99, target(targetReconcile, reconcileTarget)),
		lower(name+"reconcile p99, with the submission", "s", m.ReconcileP99, nil),
	}
}

// lower is a row without a peer; less is better.
func lower(name, unit string, ours float64, target *float64) report.Row {
	return report.Row{Case: name, Unit: unit, Ours: ours, Target: target, Better: report.Lower}
}

// withPeer is a row whose target is of ours, not of the ratio; less is better.
func withPeer(name, unit string, ours, peer float64, target *float64) report.Row {
	return report.Row{Case: name, Unit: unit, Ours: ours, Peer: &peer, Ratio: new(ours / peer), Target: target, Better: report.Lower}
}
