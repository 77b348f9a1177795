package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type schema = apiextensionsv1.JSONSchemaProps

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
			fields(*f.Items.Schema, at, visit)
		default:
			fields(f, at, visit)
		}
	}
}

// edge is a value that a field's schema just accepts, or just refuses with these words.
type edge struct {
	value   any
	refused string
}

// edges of a field.
func edges(path string, f schema) []edge {
	var all []edge
	for _, e := range f.Enum {
		all = append(all, edge{decoded(e), ""})
	}
	switch {
	case len(f.Enum) > 0 && f.Type == "string":
		all = append(all, edge{"no-such-value", "supported values"})
	case len(f.Enum) > 0:
		all = append(all, edge{int64(19), "supported values"})
	}
	if f.Minimum != nil {
		all = append(all, edge{int64(*f.Minimum), ""}, edge{int64(*f.Minimum) - 1, "should be greater than or equal to"})
	}
	if f.Maximum != nil {
		all = append(all, edge{int64(*f.Maximum), ""}, edge{int64(*f.Maximum) + 1, "should be less than or equal to"})
	}
	return append(all, sizes(path, f)...)
}

// sizes are the edges of strings, lists and maps.
func sizes(path string, f schema) []edge {
	var all []edge
	if f.MinLength != nil {
		all = append(all, edge{"", "should be at least"})
	}
	if f.Pattern != "" && f.Type == "string" {
		all = append(all, edge{"-?", "should match"})
	}
	if n := f.MaxLength; n != nil {
		if text := longest(path, f, int(*n)); text != "" {
			all = append(all, edge{text, ""})
		}
		all = append(all, edge{strings.Repeat("a", int(*n)+1), "may not be more than"})
	}
	if n := f.MaxItems; n != nil {
		all = append(all, edge{entries(path, *n), ""}, edge{entries(path, *n+1), "must have at most"})
	}
	if n := f.MaxProperties; n != nil {
		all = append(all, edge{properties(*n), ""}, edge{properties(*n + 1), "must have at most"})
	}
	return all
}

// longest is a string of n characters that a field accepts, or fewer where its pattern allows no more.
func longest(path string, f schema, n int) string {
	pattern := regexp.MustCompile(f.Pattern)
	for _, try := range []struct{ start, rest string }{{"", "a"}, {"a/", "a"}, {"0.5", "0"}, {"256x256x256", ""}} {
		if strings.HasSuffix(path, "uri") {
			try.start = "pvc://c/"
		}
		if strings.HasSuffix(path, "endpoint") {
			try.start = "https://"
		}
		if text := try.start + strings.Repeat(try.rest, max(0, n-len(try.start))); pattern.MatchString(text) {
			return text
		}
	}
	return ""
}

// entries of a list.
func entries(path string, n int64) []any {
	list := []any{}
	for i := range n {
		list = append(list, entry(path, fmt.Sprintf("entry-%d", i)))
	}
	return list
}

// entry is a list's entry with what it must have.
func entry(path, name string) map[string]any {
	switch {
	case strings.HasSuffix(path, "tolerations[]"):
		return map[string]any{"operator": "Exists"}
	case path == "finetuning[]":
		return map[string]any{"name": name, "labelFraction": "1"}
	case path == "conditions[]":
		return map[string]any{"type": name, "status": "True", "reason": "A", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
	}
	return map[string]any{"name": name}
}

func properties(n int64) map[string]any {
	all := map[string]any{}
	for i := range n {
		all[fmt.Sprintf("key-%d", i)] = "value"
	}
	return all
}

func decoded(j apiextensionsv1.JSON) any {
	var value any
	if err := json.Unmarshal(j.Raw, &value); err != nil {
		panic(err) // the schema was read already
	}
	if n, isNumber := value.(float64); isNumber {
		return int64(n)
	}
	return value
}

// TestSchema tries the edges of every field of the spec, on the API server and without it. Other fields may
// be wrong then, so that only what is said of the field itself counts.
func TestSchema(t *testing.T) {
	fields(runSchema().Properties["spec"], "", func(path string, f schema) {
		for _, e := range edges(path, f) {
			u := patched(t, minimal, "{}")
			named := place(u, "spec", path, e.value)
			e.judge(t, "API server", named, create(u))
			e.judge(t, "validation", named, check(u))
		}
	})
}

// TestStatusSchema tries the edges of every field of the status, and that no text of it is without bounds.
func TestStatusSchema(t *testing.T) {
	ctx := context.Background()
	run := patched(t, minimal, "metadata: {name: bounds}")
	if err := server.Create(ctx, run); err != nil {
		t.Fatal(err)
	}
	fields(runSchema().Properties["status"], "", func(path string, f schema) {
		if f.Type == "string" && f.MaxLength == nil && len(f.Enum) == 0 && f.Format != "date-time" {
			t.Errorf("status.%s has no MaxLength", path)
		}
		for _, e := range edges(path, f) {
			u := run.DeepCopy()
			named := place(u, "status", path, e.value)
			e.judge(t, "API server", named, server.Status().Update(ctx, u, client.DryRunAll))
		}
	})
}

// judge what was said of a field that has this value.
func (e edge) judge(t *testing.T, who, named string, err error) {
	t.Helper()
	said := []string{}
	for _, c := range causes(err) {
		if c.field == named || strings.HasPrefix(c.field, named+"[") {
			said = append(said, c.said)
		}
	}
	refused := slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, e.refused) })
	if e.refused == "" && len(said) > 0 || e.refused != "" && !refused {
		t.Errorf("%s, %s: %.60v gave %q; want %q of all that is said: %v", who, named, e.value, said, e.refused, err)
	}
}

// place sets a field of a run's spec or status and is the field's name in causes.
func place(u *unstructured.Unstructured, root, path string, value any) string {
	if u.Object[root] == nil {
		u.Object[root] = map[string]any{}
	}
	at := u.Object[root].(map[string]any)
	parts := strings.Split(path, ".")
	for i, part := range parts[:len(parts)-1] {
		if name, isList := strings.CutSuffix(part, "[]"); isList {
			one := entry(strings.Join(parts[:i+1], "."), "few")
			at[name] = []any{one}
			at = one
			continue
		}
		if _, there := at[part].(map[string]any); !there {
			at[part] = map[string]any{}
		}
		at = at[part].(map[string]any)
	}
	at[strings.TrimSuffix(parts[len(parts)-1], "[]")] = value
	return root + "." + strings.TrimSuffix(path, "[]")
}
