// Package report has what the benchmarks tell: rows that set our program beside another, as JSON for programs and as a
// table for people, and the machine that they were measured on.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// Write the rows as DIRECTORY/NAME.json and what they were measured on as DIRECTORY/NAME-machine.json.
func Write(directory, name string, rows []Row, machine any) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	return errors.Join(
		WriteJSON(filepath.Join(directory, name+"-machine.json"), machine),
		WriteJSON(filepath.Join(directory, name+".json"), rows),
	)
}

// WriteJSON writes a file, at once or not at all: a command that ends meanwhile leaves what it has written before.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := os.WriteFile(part, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
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
