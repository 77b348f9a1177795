package api_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDocs finds every field, with what is said of it, and every rule in the spec page. The page's tables
// are generated: this is the check that nothing is left out of them.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "api", "simclrrun.md"))
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, part := range []string{"spec", "status"} {
		fields(runSchema().Properties[part], "", func(path string, f schema) {
			row := "\n| `" + path + "` | " + strings.Join(strings.Fields(f.Description), " ") + " |"
			if !strings.Contains(page, row) {
				t.Errorf("docs/api/simclrrun.md lacks the row of %s.%s: %s", part, path, row)
			}
		})
	}
	for _, messages := range newTrials().rules {
		for _, message := range messages {
			if !strings.Contains(message, "may change") && !strings.Contains(message, "may not change") && !strings.Contains(page, "\n- "+message+"\n") {
				t.Errorf("docs/api/simclrrun.md lacks the rule %q", message)
			}
		}
	}
}

// TestFieldDocs looks into what kubectl explain shows: a field that need not be set says its default, and a
// number its unit.
func TestFieldDocs(t *testing.T) {
	unitless := []string{"pretraining.seed"}
	visit := func(path string, f schema, required []string) {
		name := strings.TrimSuffix(path[strings.LastIndex(path, ".")+1:], "[]")
		if !slices.Contains(required, name) && !strings.Contains(f.Description, "Default:") {
			t.Errorf("spec.%s does not say its default: %q", path, f.Description)
		}
		if (f.Type == "integer" || f.XIntOrString) && !slices.Contains(unitless, path) && !strings.Contains(f.Description, "Unit:") {
			t.Errorf("spec.%s does not say its unit: %q", path, f.Description)
		}
	}
	spec := runSchema().Properties["spec"]
	required := map[string][]string{"": spec.Required}
	fields(spec, "", func(path string, f schema) {
		required[path] = f.Required
		if f.Items != nil {
			required[path] = f.Items.Schema.Required
		}
	})
	fields(spec, "", func(path string, f schema) {
		parent := path[:max(0, strings.LastIndex(path, "."))]
		visit(path, f, required[parent])
	})
}
