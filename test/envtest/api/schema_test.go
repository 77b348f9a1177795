package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/config/crd"
)

// schema is the part of OpenAPI that the type uses.
type schema struct {
	Type             string            `json:"type"`
	Properties       map[string]schema `json:"properties"`
	Items            *schema           `json:"items"`
	Enum             []any             `json:"enum"`
	Minimum, Maximum *float64
	MinLength        *int64
	MaxLength        *int64
	MaxItems         *int64
	Pattern          string
}

func runSchema(t *testing.T) schema {
	t.Helper()
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	text, err := yaml.YAMLToJSON(crd.SimCLRRuns)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &definition); err != nil {
		t.Fatal(err)
	}
	return definition.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// kubernetes' own types, which have rules of their own.
var foreign = []string{"affinity", "tolerations", "env", "resources", "imagePullSecrets", "conditions"}

// fields visits the fields of our own types; entries of lists are written a[].
func fields(s schema, path string, visit func(string, schema)) {
	for name, f := range s.Properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		if f.Type == "array" {
			at += "[]"
		}
		visit(at, f)
		switch {
		case slices.Contains(foreign, name):
		case f.Type == "array":
			fields(*f.Items, at, visit)
		default:
			fields(f, at, visit)
		}
	}
}

// edges are values that a field's schema just accepts and just rejects.
func edges(f schema) (good, bad []any) {
	good = append(good, f.Enum...)
	switch {
	case len(f.Enum) > 0 && f.Type == "string":
		bad = append(bad, "no-such-value")
	case len(f.Enum) > 0:
		bad = append(bad, 19)
	}
	if f.Minimum != nil {
		good, bad = append(good, int64(*f.Minimum)), append(bad, int64(*f.Minimum)-1)
	}
	if f.Maximum != nil {
		good, bad = append(good, int64(*f.Maximum)), append(bad, int64(*f.Maximum)+1)
	}
	if f.MaxLength != nil {
		bad = append(bad, strings.Repeat("a", int(*f.MaxLength)+1))
	}
	if f.MinLength != nil {
		bad = append(bad, "")
	}
	if f.Pattern != "" {
		bad = append(bad, "-?")
	}
	return good, bad
}

// TestSchema tries the edges of every field, on the API server and without it. Other fields may be wrong
// then, so that only what is said of the field itself counts.
func TestSchema(t *testing.T) {
	fields(runSchema(t).Properties["spec"], "", func(path string, f schema) {
		good, bad := edges(f)
		for _, try := range []struct {
			values []any
			reject bool
		}{{good, false}, {bad, true}} {
			for _, value := range try.values {
				u := patched(t, minimal, "{}")
				named := place(u, path, value)
				for who, err := range map[string]error{"API server": create(u), "validation": check(u)} {
					said := err != nil && strings.Contains(err.Error(), named+": ")
					if said != try.reject {
						t.Errorf("%s, %s: %.40v gave %v; want it rejected: %v", who, path, value, err, try.reject)
					}
				}
			}
		}
	})
}

// place sets a field of a run's spec and is the field's name in messages.
func place(u *unstructured.Unstructured, path string, value any) string {
	at := u.Object["spec"].(map[string]any)
	parts := strings.Split(path, ".")
	for _, part := range parts[:len(parts)-1] {
		if name, isList := strings.CutSuffix(part, "[]"); isList {
			entry := map[string]any{"name": "few", "labelFraction": "1"}
			at[name] = []any{entry}
			at = entry
			continue
		}
		if _, there := at[part].(map[string]any); !there {
			at[part] = map[string]any{}
		}
		at = at[part].(map[string]any)
	}
	if n, isInt := value.(int); isInt {
		value = int64(n)
	}
	at[parts[len(parts)-1]] = value
	return fmt.Sprintf("spec.%s", strings.ReplaceAll(path, "[]", "[0]"))
}
