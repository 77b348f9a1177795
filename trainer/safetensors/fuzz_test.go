package safetensors

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A damaged or hostile file is refused, or is what Write would write again.
func FuzzRead(f *testing.F) {
	for _, tensors := range [][]Tensor{
		nil,
		{{Name: "w", Shape: []int{2, 1}, Data: []float32{1, 2}}, {Name: "n", Int64: []int64{7}}},
		{{Name: "empty", Shape: []int{0, 3}, Data: []float32{}}},
	} {
		var b bytes.Buffer
		if err := Write(&b, tensors, map[string]string{"format": "pt"}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tensors, metadata, err := Read(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := Write(&b, tensors, metadata); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, _, err := Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if len(again) != len(tensors) {
			t.Errorf("%d tensors, and %d once written", len(tensors), len(again))
		}
		if d := cmp.Diff(names(tensors), names(again), cmpopts.SortSlices(func(a, b string) bool { return a < b })); d != "" {
			t.Error(d)
		}
	})
}

func names(tensors []Tensor) []string {
	var ns []string
	for _, t := range tensors {
		ns = append(ns, t.Name)
	}
	return ns
}
