package report

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

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

// Log is how a benchmark went besides its rows: on what machine, for how long, and what is worth knowing.
type Log struct {
	Machine
	Seconds float64  `json:"seconds"` // of everything
	Notes   []string `json:"notes"`
}

// Note what is worth knowing, and tell people.
func (l *Log) Note(format string, args ...any) {
	l.Notes = append(l.Notes, fmt.Sprintf(format, args...))
	Say("  "+format, args...)
}
