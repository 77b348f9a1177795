package main

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	for name, tc := range map[string]struct{ values, want, wantErr string }{
		"values and groups": {
			values: `
# image of the group, which has no row.
image:
  # manager is the operator's
  # image.
  manager: a|b
  # empty of it.
  empty: ""

# resources of the container.
resources:
  limits: {memory: 1Gi}
# list to watch: a | <b>.
list: []
`,
			want: "| value | default | what |\n|---|---|---|\n" +
				"| `image.manager` | `\"a|b\"` | the operator's image |\n" +
				"| `image.empty` |  | of it |\n" +
				"| `resources` | `{\"limits\":{\"memory\":\"1Gi\"}}` | of the container |\n" +
				"| `list` | `[]` | to watch: a \\| \\<b> |\n",
		},
		"no comment":        {values: "a: 1\n", wantErr: `a: its comment must begin with "a"`},
		"another's comment": {values: "# b is this.\na: 1\n", wantErr: `a: its comment must begin with "a"`},
		"not in a group": {
			values:  "# a\na:\n  # b is this.\n  b: 1\n  c: 2\n",
			wantErr: `a.c: its comment must begin with "c"`,
		},
		"no mapping": {values: "- a\n", wantErr: "no mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := table([]byte(tc.values))
			switch {
			case tc.wantErr == "" && err != nil, tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)):
				t.Errorf("error %v, want %q", err, tc.wantErr)
			case tc.wantErr == "" && got != tc.want:
				t.Errorf("got\n%swant\n%s", got, tc.want)
			}
		})
	}
}
