package dataset

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpandBraces(t *testing.T) {
	for pattern, want := range map[string][]string{
		"a.tar":                     {"a.tar"},
		"a-{8..11}.tar":             {"a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"},
		"a-{008..010}.tar":          {"a-008.tar", "a-009.tar", "a-010.tar"},
		"{a,b}{0..1}":               {"a0", "a1", "b0", "b1"},
		"{t-{00..01},v/{a,b}}.x":    {"t-00.x", "t-01.x", "v/a.x", "v/b.x"},
		"{a,}z":                     {"az", "z"},
		"{train,{val,test}}-{3..3}": {"train-3", "val-3", "test-3"},
	} {
		got, err := expandBraces(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", pattern, diff)
		}
	}
	for pattern, want := range map[string]string{
		"a{0..1":           "without its }",
		"a0..1}":           "without its {",
		"a{b}}":            "without its {",
		"{3..1}":           "{3..1} is not of 1 to",
		"{0..99999999}":    "is not of 1 to 100000",
		"{0..999}{0..999}": "more than 100000 names",
	} {
		if _, err := expandBraces(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", pattern, err, want)
		}
	}
}
