package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTables(t *testing.T) {
	const output = `goos: linux
BenchmarkBreakdown/tiny-2  	{"case":"tiny","kernel":"convolution","calls":3,"milliseconds":7.5,"gFLOPs":200.4,"gBs":3}
{"case":"tiny","kernel":"between kernels","milliseconds":2.5}
{"case":"tiny","kernel":"step","milliseconds":10}
       1	10 ns/op
PASS
`
	var others, text strings.Builder
	kernels, err := read(strings.NewReader(output), &others)
	if err != nil {
		t.Fatal(err)
	}
	if err := tables(&text, kernels); err != nil {
		t.Fatal(err)
	}
	const want = `
| tiny | ms | share | calls | GFLOP/s | GB/s |
|---|---|---|---|---|---|
| convolution | 7.5 | 75.0% | 3 | 200 | 3 |
| between kernels | 2.5 | 25.0% |  |  |  |
| step | 10.0 | 100.0% |  |  |  |
`
	if d := cmp.Diff(want, text.String()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("goos: linux\n       1\t10 ns/op\nPASS\n", others.String()); d != "" {
		t.Error(d)
	}
	if _, err := read(strings.NewReader("x {no JSON\n"), &others); err == nil {
		t.Error("a broken line is no error")
	}
}
