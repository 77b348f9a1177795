package controllers

import "testing"

func TestLastLines(t *testing.T) {
	for name, tc := range map[string]struct{ log, want string }{
		"nothing":       {"", ""},
		"the last":      {"1\n2\n3\n4\n", "2 | 3 | 4"},
		"a trainer's":   {`{"time":"2026-11-28T11:08:09.27Z","level":"INFO","msg":"epoch","run":"small","rank":0,"loss":4.531648969650268,"epoch":2,"step":123456}`, "epoch epoch=2 loss=4.53165 step=123456"},
		"a warning":     {`{"level":"WARN","msg":"skipped","file":"a b"}`, "WARN skipped file=a b"},
		"others' JSON":  {`{"loss": 1}`, `{"loss": 1}`},
		"a cut line":    {`{"level":"WARN","msg":"ski`, `{"level":"WARN","msg":"ski`},
		"not an object": {`[1]`, `[1]`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lastLines(tc.log); got != tc.want {
				t.Errorf("lastLines: %q, want %q", got, tc.want)
			}
		})
	}
}
