package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
)

// Read reads a file of size bytes: its tensors in the order of the file, and its metadata. Files are
// not trusted: lengths are checked before memory is taken.
func Read(r io.ReaderAt, size int64) ([]Tensor, map[string]string, error) {
	var length [8]byte
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, nil, fmt.Errorf("not a safetensors file: %w", err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, nil, fmt.Errorf("not a safetensors file: a header of %d bytes in %d", n, size)
	}
	h := make([]byte, n)
	if _, err := r.ReadAt(h, 8); err != nil {
		return nil, nil, fmt.Errorf("reading the safetensors header: %w", err)
	}
	named, metadata, err := parse(h)
	if err != nil {
		return nil, nil, fmt.Errorf("the safetensors header: %w", err)
	}
	tensors, at := make([]Tensor, 0, len(named)), int64(0)
	for _, e := range named {
		if e.Offsets[0] != at || e.Offsets[1] > size-8-int64(n) {
			return nil, nil, fmt.Errorf("tensor %q lies at %v, outside of the file or not after the one before", e.name, e.Offsets)
		}
		at = e.Offsets[1]
		t, err := e.read(r, 8+int64(n))
		if err != nil {
			return nil, nil, err
		}
		tensors = append(tensors, t)
	}
	if at != size-8-int64(n) {
		return nil, nil, fmt.Errorf("%d bytes follow the last tensor", size-8-int64(n)-at)
	}
	return tensors, metadata, nil
}

type namedEntry struct {
	name string
	entry
}

// parse gives the header's entries in the order of their places.
func parse(h []byte) ([]namedEntry, map[string]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(h, &raw); err != nil {
		return nil, nil, err
	}
	var metadata map[string]string
	var entries []namedEntry
	for name, v := range raw {
		if name == metadataKey {
			if err := json.Unmarshal(v, &metadata); err != nil {
				return nil, nil, err
			}
			continue
		}
		e := namedEntry{name: name}
		if err := json.Unmarshal(v, &e.entry); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b namedEntry) int {
		return cmp.Or(slices.Compare(a.Offsets[:], b.Offsets[:]), cmp.Compare(a.name, b.name))
	})
	return entries, metadata, nil
}

func (e namedEntry) read(r io.ReaderAt, base int64) (Tensor, error) {
	width, ok := widths[e.Type]
	if !ok {
		return Tensor{}, fmt.Errorf("tensor %q has the type %s: F32 and I64 are read", e.name, e.Type)
	}
	n, err := count(e.Shape)
	if err != nil || n*width != e.Offsets[1]-e.Offsets[0] {
		return Tensor{}, fmt.Errorf("tensor %q: shape %v does not fill %v", e.name, e.Shape, e.Offsets)
	}
	raw := make([]byte, n*width)
	if _, err := io.ReadFull(io.NewSectionReader(r, base+e.Offsets[0], n*width), raw); err != nil {
		return Tensor{}, fmt.Errorf("reading tensor %q: %w", e.name, err)
	}
	t := Tensor{Name: e.name, Shape: e.Shape}
	if e.Type == "I64" {
		t.Int64 = make([]int64, n)
		return t, binary.Read(bytes.NewReader(raw), binary.LittleEndian, t.Int64)
	}
	t.Data = make([]float32, n)
	for i := range t.Data {
		t.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return t, nil
}
