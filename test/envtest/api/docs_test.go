package api_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/config/crd"
)

// TestDocs finds every field and every rule in the spec page.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "api", "simclrrun.md"))
	if err != nil {
		t.Fatal(err)
	}
	root := runSchema(t)
	for _, part := range []string{"spec", "status"} {
		fields(root.Properties[part], "", func(path string, _ schema) {
			if !strings.Contains(string(page), "`"+path+"`") {
				t.Errorf("docs/api/simclrrun.md lacks %s `%s`", part, path)
			}
		})
	}
	text, err := yaml.YAMLToJSON(crd.SimCLRRuns)
	if err != nil {
		t.Fatal(err)
	}
	var definition any
	if err := json.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	found := sets.New[string]()
	messages(definition, found)
	for message := range found {
		if !strings.Contains(message, "may change") && !strings.Contains(message, "may not change") && !strings.Contains(string(page), message) {
			t.Errorf("docs/api/simclrrun.md lacks the rule %q", message)
		}
	}
}
