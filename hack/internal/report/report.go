// Package report has what the benchmarks tell: rows that set our program beside another, as JSON for programs and as a
// table for people, and the machine that they were measured on.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Row is one comparison.
type Row struct {
	Case   string   `json:"case"`
	Unit   string   `json:"unit"`
	Ours   float64  `json:"ours"`
	Peer   *float64 `json:"peer"`
	Ratio  *float64 `json:"ratio"`  // ours/peer
	Target *float64 `json:"target"` // of the ratio, or of ours: the command says which
	Better string   `json:"better"`
}

// Better is one of these.
const (
	Higher = "higher"
	Lower  = "lower"
)

// NewRow compares two numbers.
func NewRow(name, unit string, ours, peer float64, target *float64, better string) Row {
	return Row{name, unit, ours, &peer, new(ours / peer), target, better}
}

// Median of at least one value: of an even number, the mean of the middle two.
func Median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// Table writes rows for people.
func Table(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "case\tunit\tours\tpeer\tours/peer\ttarget\tbetter")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Case, r.Unit, number(&r.Ours), number(r.Peer), number(r.Ratio), number(r.Target), r.Better)
	}
	return t.Flush()
}

// number with four digits that count; – where there is none.
func number(v *float64) string {
	if v == nil {
		return "–"
	}
	digits := 3
	for limit := 10.0; digits > 0 && *v >= limit; limit *= 10 {
		digits--
	}
	return strconv.FormatFloat(*v, 'f', digits, 64)
}

// Machine is what was measured on.
type Machine struct {
	CPU         string `json:"cpu"`
	CPUs        int    `json:"cpus"`
	Threads     int    `json:"threads"`     // of each program
	LoadAverage string `json:"loadAverage"` // before the first round
}

// ThisMachine is where this program runs.
func ThisMachine(threads int) (Machine, error) {
	m := Machine{CPUs: runtime.NumCPU(), Threads: threads}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.CPU = modelName(string(info))
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return m, err
	}
	m.LoadAverage = strings.Join(strings.Fields(string(load))[:3], " ")
	return m, nil
}

// String is the machine in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d CPUs, %d threads, load average before %s", m.CPU, m.CPUs, m.Threads, m.LoadAverage)
}

// modelName of the first CPU of /proc/cpuinfo.
func modelName(info string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// WriteJSON writes a file.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// ReadJSON reads a file.
func ReadJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Say tells people how far it is.
func Say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
