// Package metricsdoc holds docs/metrics.md against the metrics that the programs serve.
package metricsdoc

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
)

// Check finds each metric of the families whose name has the prefix in the page's section, with its type,
// its labels and its meaning, and nothing else there.
func Check(t *testing.T, section, prefix string, families []*dto.MetricFamily) {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	page, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n## "+section+"\n")
	if !found {
		t.Fatalf("docs/metrics.md has no section %q", section)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	documented := []string{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "| `"+prefix) {
			documented = append(documented, strings.TrimSpace(line))
		}
	}
	served := map[string]string{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), prefix) {
			served[f.GetName()] = row(f)
		}
	}
	want := slices.Sorted(maps.Values(served))
	slices.Sort(documented)
	if d := cmp.Diff(want, documented); d != "" {
		t.Errorf("docs/metrics.md, %s (-served +documented):\n%s", section, d)
	}
}

// row of the page's table.
func row(f *dto.MetricFamily) string {
	labels := map[string]bool{}
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = true
		}
	}
	return fmt.Sprintf("| `%s` | %s | `%s` | %s |", f.GetName(), strings.ToLower(f.GetType().String()),
		strings.Join(slices.Sorted(maps.Keys(labels)), "`, `"), strings.TrimSuffix(f.GetHelp(), "."))
}
