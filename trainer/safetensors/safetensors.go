// Package safetensors writes and reads the safetensors format (huggingface/safetensors, format.md): a
// length, a JSON header with each tensor's type, shape and place, then the values, little-endian.
package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Tensor is a named value: float32 values in Data, or int64 values in Int64.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
	Int64 []int64
}

// maxHeader is the format's own limit of the header. Unit: bytes.
const maxHeader = 100_000_000

const metadataKey = "__metadata__"

// entry of the header.
type entry struct {
	Type    string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// widths of the types that are written and read. Unit: bytes.
var widths = map[string]int64{"F32": 4, "I64": 8}

func (t Tensor) entry(at int64) (entry, error) {
	kind, values := "F32", len(t.Data)
	if t.Int64 != nil {
		kind, values = "I64", len(t.Int64)
	}
	if n, err := count(t.Shape); err != nil || n != int64(values) {
		return entry{}, fmt.Errorf("tensor %q: %d values do not fill the shape %v", t.Name, values, t.Shape)
	}
	shape := t.Shape
	if shape == nil {
		shape = []int{} // a scalar; null would not be valid
	}
	return entry{kind, shape, [2]int64{at, at + int64(values)*widths[kind]}}, nil
}

// count is the number of values of a shape, an error where it is negative or absurd.
func count(shape []int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 || (d > 0 && n > math.MaxInt64/16/int64(d)) {
			return 0, fmt.Errorf("shape %v", shape)
		}
		n *= int64(d)
	}
	return n, nil
}

// aligned puts int64 tensors first, so that every value is aligned to its size: PyTorch refuses to
// view others. The order within a type is kept.
func aligned(tensors []Tensor) []Tensor {
	ts := append([]Tensor{}, tensors...)
	floats := func(t Tensor) int {
		if t.Int64 == nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(ts, func(a, b Tensor) int { return floats(a) - floats(b) })
	return ts
}

// header is the JSON header, padded with spaces to 8 bytes.
func header(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	out := []byte("{")
	add := func(key string, value any) error {
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, k...), ':'), v...)
		return nil
	}
	if len(metadata) > 0 {
		if err := add(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	at, seen := int64(0), map[string]bool{metadataKey: true}
	for _, t := range tensors {
		if seen[t.Name] {
			return nil, fmt.Errorf("two tensors are named %q", t.Name)
		}
		seen[t.Name] = true
		e, err := t.entry(at)
		if err != nil {
			return nil, err
		}
		if err := add(t.Name, e); err != nil {
			return nil, err
		}
		at = e.Offsets[1]
	}
	out = append(out, '}')
	for len(out)%8 != 0 {
		out = append(out, ' ')
	}
	return out, nil
}

// Write writes tensors; the same ones always give the same bytes. It makes many small writes: w should
// be buffered.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	tensors = aligned(tensors)
	h, err := header(tensors, metadata)
	if err != nil {
		return err
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(h)))); err != nil {
		return err
	}
	if _, err := w.Write(h); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := writeValues(w, t); err != nil {
			return err
		}
	}
	return nil
}

const chunk = 8192 // values that are converted at once

func writeValues(w io.Writer, t Tensor) error {
	buf := make([]byte, 0, 8*chunk)
	for rest := t.Int64; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		buf = buf[:0]
		for _, v := range rest[:min(chunk, len(rest))] {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	for rest := t.Data; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		buf = buf[:0]
		for _, v := range rest[:min(chunk, len(rest))] {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}
