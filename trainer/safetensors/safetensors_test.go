package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var some = []Tensor{
	{Name: "bn1.weight", Shape: []int{3}, Data: []float32{1, -2.5, math.MaxFloat32}},
	{Name: "bn1.num_batches_tracked", Shape: []int{}, Int64: []int64{1 << 40}},
	{Name: "fc.weight", Shape: []int{2, 1}, Data: []float32{0, float32(math.Inf(1))}},
}

func written(t *testing.T, tensors []Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	b := written(t, some)
	got, metadata, err := Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	want := []Tensor{some[1], some[0], some[2]} // int64 first
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"format": "pt"}, metadata); d != "" {
		t.Error(d)
	}
	if !bytes.Equal(b, written(t, some)) {
		t.Error("two writes differ")
	}
}

// The bytes as format.md of huggingface/safetensors describes them, written down by hand.
func TestBytesAreTheFormats(t *testing.T) {
	header := `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
	header += strings.Repeat(" ", 56-len(header))
	want := append([]byte{56, 0, 0, 0, 0, 0, 0, 0}, header...)
	want = append(want, 0, 0, 0x80, 0x3f)
	var b bytes.Buffer
	if err := Write(&b, []Tensor{{Name: "a", Shape: []int{1}, Data: []float32{1}}}, nil); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, b.Bytes()); d != "" {
		t.Error(d)
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, tc := range map[string][]Tensor{
		"a shape that does not fit": {{Name: "a", Shape: []int{2}, Data: []float32{1}}},
		"two of one name":           {{Name: "a", Shape: []int{0}}, {Name: "a", Shape: []int{0}}},
		"the metadata's name":       {{Name: "__metadata__", Shape: []int{0}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Write(&bytes.Buffer{}, tc, nil); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestReadRefusesDamage(t *testing.T) {
	whole := written(t, some)
	for name, tc := range map[string]func([]byte) []byte{
		"empty":               func([]byte) []byte { return nil },
		"truncated":           func(b []byte) []byte { return b[:len(b)-1] },
		"longer":              func(b []byte) []byte { return append(b, 0) },
		"a huge header":       func(b []byte) []byte { binary.LittleEndian.PutUint64(b, 1<<62); return b },
		"a header of its own": func(b []byte) []byte { b[8] = 'x'; return b },
		"another type":        func(b []byte) []byte { return bytes.Replace(b, []byte("F32"), []byte("F16"), 1) },
		"a negative shape":    func([]byte) []byte { return custom(t, entry{"F32", []int{-1}, [2]int64{0, 4}}) },
		"an overflowing shape": func([]byte) []byte {
			return custom(t, entry{"F32", []int{1 << 40, 1 << 40}, [2]int64{0, 4}})
		},
		"a place outside": func([]byte) []byte { return custom(t, entry{"F32", []int{1 << 30}, [2]int64{0, 4 << 30}}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := tc(bytes.Clone(whole))
			if _, _, err := Read(bytes.NewReader(b), int64(len(b))); err == nil {
				t.Error("no error")
			}
		})
	}
}

// custom is a file of 4 value bytes whose header says something else.
func custom(t *testing.T, e entry) []byte {
	t.Helper()
	h, err := json.Marshal(map[string]entry{"a": e})
	if err != nil {
		t.Fatal(err)
	}
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(h)))
	return append(append(b, h...), 0, 0, 0, 0)
}
