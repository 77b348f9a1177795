package emit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every operator of trainer/op, which are the types with a method Operands in its source, has an emitter.
func TestEveryOperatorHasAnEmitter(t *testing.T) {
	parsed, err := parser.ParseDir(token.NewFileSet(), "../../../op", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0) //nolint:staticcheck // build tags do not matter
	if err != nil {
		t.Fatal(err)
	}
	var operators, emitters []string
	for _, f := range parsed["op"].Files {
		for _, d := range f.Decls {
			if m, ok := d.(*ast.FuncDecl); ok && m.Recv != nil && m.Name.Name == "Operands" {
				operators = append(operators, m.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	for of := range registry {
		emitters = append(emitters, of.Name())
	}
	slices.Sort(operators)
	slices.Sort(emitters)
	if d := cmp.Diff(operators, emitters); d != "" || len(operators) < 40 {
		t.Errorf("operators of trainer/op (-) and emitters (+):\n%s", d)
	}
}
