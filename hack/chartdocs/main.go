// chartdocs writes the table of values in the chart's README from values.yaml: a value's comment is what it is, and begins
// with its name. What is between the markers is replaced; the rest of the page is written by hand.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const begin, end = "<!-- values: generated from values.yaml by make manifests -->\n", "<!-- end of values -->\n"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "chartdocs CHART")
		os.Exit(2)
	}
	if err := rewrite(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rewrite(chart string) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	rows, err := table(values)
	if err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	path := filepath.Join(chart, "README.md")
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, there := strings.Cut(string(page), begin)
	_, after, ends := strings.Cut(rest, end)
	if !there || !ends {
		return fmt.Errorf("%s: the markers of the table are missing:\n%s%s", path, begin, end)
	}
	return os.WriteFile(path, []byte(before+begin+rows+end+after), 0o644)
}

// table of a text of values, in its order.
func table(values []byte) (string, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(values, &document); err != nil {
		return "", err
	}
	if len(document.Content) != 1 || document.Content[0].Kind != yaml.MappingNode {
		return "", errors.New("it is no mapping")
	}
	var b strings.Builder
	b.WriteString("| value | default | what |\n|---|---|---|\n")
	err := rows(&b, "", document.Content[0])
	return b.String(), err
}

// rows of a mapping: a value whose own values have comments is a group.
func rows(b *strings.Builder, prefix string, mapping *yaml.Node) error {
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		if isGroup(value) {
			if err := rows(b, path+".", value); err != nil {
				return err
			}
			continue
		}
		what, err := comment(key)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		text, err := inline(value)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", path, text, what)
	}
	return nil
}

func isGroup(value *yaml.Node) bool {
	return value.Kind == yaml.MappingNode && len(value.Content) > 0 && value.Content[0].HeadComment != ""
}

// comment of a key, in one line, without the name that it begins with.
func comment(key *yaml.Node) (string, error) {
	var lines []string
	for line := range strings.Lines(key.HeadComment) {
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(line, "#")))
	}
	text := strings.Join(lines, " ")
	text, named := strings.CutPrefix(text, key.Value+" ")
	if !named {
		return "", fmt.Errorf("its comment must begin with %q: %q", key.Value, text)
	}
	text = strings.TrimPrefix(text, "is ")
	return strings.NewReplacer("|", `\|`, "<", `\<`).Replace(strings.TrimSuffix(text, ".")), nil
}

// inline is a value in one line; nothing where it is empty.
func inline(value *yaml.Node) (string, error) {
	var v any
	if err := value.Decode(&v); err != nil {
		return "", err
	}
	raw, err := json.Marshal(v)
	if err != nil || string(raw) == `""` {
		return "", err
	}
	return "`" + string(raw) + "`", nil
}
