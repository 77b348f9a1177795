// apidocs writes the tables of docs/api/simclrrun.md, and its list of rules, from the
// CustomResourceDefinition, so that the page says what kubectl explain and the API server say. What is
// between its markers is replaced; the rest of the page is written by hand.
package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/config/crd"
)

type schema = apiextensionsv1.JSONSchemaProps

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "apidocs PAGE")
		os.Exit(2)
	}
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rewrite(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := render(string(page))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// render is a page with its generated parts made anew.
func render(page string) (string, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(crd.SimCLRRuns, &definition); err != nil {
		return "", err
	}
	root := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	spec := table("| field | what | schema default | values |\n|---|---|---|---|\n", root.Properties["spec"], reflect.TypeFor[v1alpha1.SimCLRRunSpec](), specRow)
	status := table("| field | what |\n|---|---|\n", root.Properties["status"], reflect.TypeFor[v1alpha1.SimCLRRunStatus](), statusRow)
	for _, part := range []struct{ name, text string }{{"spec", spec}, {"rules", list(root)}, {"status", status}} {
		var err error
		if page, err = replace(page, part.name, part.text); err != nil {
			return "", err
		}
	}
	return page, nil
}

// replace what is between a part's markers.
func replace(page, part, text string) (string, error) {
	begin, end := "<!-- generated from the CRD: "+part+" -->\n", "<!-- end of "+part+" -->\n"
	before, rest, found := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the markers %q and %q are not there", begin, end)
	}
	return before + begin + "\n" + text + "\n" + end + after, nil
}

type row func(path string, f schema, required bool) string

func table(head string, s schema, structure reflect.Type, row row) string {
	var b strings.Builder
	b.WriteString(head)
	walk(s, structure, "", func(path string, f schema, required bool) { b.WriteString(row(path, f, required)) })
	return b.String()
}

// walk visits the fields of our own types, in the order in which the Go types have them; entries of lists
// are written a[].
func walk(s schema, structure reflect.Type, path string, visit func(string, schema, bool)) {
	for field := range structure.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		f, at, kind := s.Properties[name], strings.TrimPrefix(path+"."+name, "."), field.Type
		below := &f
		if f.Type == "array" {
			at, below = at+"[]", f.Items.Schema
		}
		visit(at, f, slices.Contains(s.Required, name))
		for kind.Kind() == reflect.Pointer || kind.Kind() == reflect.Slice {
			kind = kind.Elem()
		}
		if kind.PkgPath() == structure.PkgPath() && kind.Kind() == reflect.Struct {
			walk(*below, kind, at, visit)
		}
	}
}

func specRow(path string, f schema, required bool) string {
	preset := ""
	switch {
	case required:
		preset = "**required**"
	case f.Default != nil && f.Type != "object":
		preset = "`" + strings.Trim(string(f.Default.Raw), `"`) + "`"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", path, oneLine(f.Description), preset, values(f))
}

func statusRow(path string, f schema, _ bool) string {
	return fmt.Sprintf("| `%s` | %s |\n", path, oneLine(f.Description))
}

// oneLine is a description as a cell of a table.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// values that a field's schema allows.
func values(f schema) string {
	const decimal = `^[0-9]+(\.[0-9]+)?(e-?[0-9]{1,2})?$` // of v1alpha1.Decimal
	switch {
	case len(f.Enum) > 0:
		var all []string
		for _, e := range f.Enum {
			all = append(all, strings.Trim(string(e.Raw), `"`))
		}
		return strings.Join(all, ", ")
	case f.Minimum != nil && f.Maximum != nil:
		return fmt.Sprintf("%d…%d", int64(*f.Minimum), int64(*f.Maximum))
	case f.Minimum != nil:
		return fmt.Sprintf("%d…", int64(*f.Minimum))
	case f.Pattern == decimal:
		return "decimal string"
	case f.XIntOrString:
		return "quantity"
	case f.MaxLength != nil:
		return fmt.Sprintf("at most %d characters", *f.MaxLength)
	case f.MaxItems != nil:
		return fmt.Sprintf("at most %d entries", *f.MaxItems)
	case f.MaxProperties != nil:
		return fmt.Sprintf("at most %d entries", *f.MaxProperties)
	}
	return ""
}

// list of the rules' messages, but those of what may change, which the page has as a table.
func list(root *schema) string {
	found := map[string]bool{}
	collect(root, found)
	var lines []string
	for message := range found {
		if !strings.Contains(message, ": may not change;") && !strings.Contains(message, ": may change only") {
			lines = append(lines, "- "+message+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func collect(s *schema, found map[string]bool) {
	for _, rule := range s.XValidations {
		found[rule.Message] = true
	}
	for _, f := range s.Properties {
		collect(&f, found)
	}
	if s.Items != nil {
		collect(s.Items.Schema, found)
	}
}
