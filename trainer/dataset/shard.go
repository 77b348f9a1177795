package dataset

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// sample of a shard: what follows one another under one key.
type sample struct {
	key            string
	offset, length int64 // of the image within the shard, in bytes
	label          string
	labelled       bool
	image          *Image // where all images so far fit into memory
	bad            error  // why the image can not be used
}

const (
	tarBlock     = 512
	readBuffer   = 1 << 20
	maxLabel     = 1 << 20 // bytes of a .cls or .json member
	gzipMagic    = "\x1f\x8b"
	labelOfJSON  = "label"
	labelMember  = "cls"
	labelsMember = "json"
)

var errNoImage = errors.New("no .jpg, .jpeg or .png")

// shardReader reads a shard once, from its beginning to its end.
type shardReader struct {
	name   string // for messages
	labels bool   // that they are wanted
	sum    *atomic.Int64
	memory int64 // bytes that images may take while they are kept

	position int64 // bytes read
	buffer   *bufio.Reader
	samples  []sample
}

// Read makes it an io.Reader that counts, so that a member's place is known. It is no io.Seeker: nothing is left out.
func (r *shardReader) Read(p []byte) (int, error) {
	n, err := r.buffer.Read(p)
	r.position += int64(n)
	return n, err
}

// readShard looks at all of a shard's samples. An error is of the shard, or of the storage.
func readShard(ctx context.Context, from source, name string, r *shardReader) ([]sample, error) {
	f, _, err := from.open(ctx, name, 0)
	if err != nil {
		return nil, invalid(r.name, err, "put the shard there, or correct the uri")
	}
	defer f.Close()
	r.buffer = bufio.NewReaderSize(f, readBuffer)
	if magic, _ := r.buffer.Peek(len(gzipMagic)); string(magic) == gzipMagic {
		return nil, compressed(r.name)
	}
	if err := r.members(ctx); err != nil {
		return nil, invalid(r.name, err, "make or get the shard again")
	}
	if len(r.samples) == 0 {
		return nil, contract.UserErrorf("InvalidFile", "%s has no samples; make it again, or remove it", r.name)
	}
	return r.samples, nil
}

func (r *shardReader) members(ctx context.Context) error {
	end := int64(0) // of the last member
	for t := tar.NewReader(r); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			if r.position < end+tarBlock { // tar takes a file that ends between two members for whole
				return errors.New("it has no end-of-archive mark: it is cut")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if sparse(h) { // whose few bytes may promise a file without end
			return fmt.Errorf("%s is stored as a sparse file", h.Name)
		}
		if h.Typeflag == tar.TypeReg {
			if err := r.member(t, h); err != nil {
				return fmt.Errorf("%s: %w", h.Name, err)
			}
		}
		if _, err := io.CopyN(io.Discard, t, h.Size); err != nil && !errors.Is(err, io.EOF) { // its rest
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		end = (r.position + tarBlock - 1) / tarBlock * tarBlock
	}
}

func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// member that a sample has; others are passed over.
func (r *shardReader) member(t io.Reader, h *tar.Header) error {
	key, ending, ok := keyOf(h.Name)
	if !ok {
		return nil
	}
	if n := len(r.samples); n == 0 || r.samples[n-1].key != key {
		r.samples = append(r.samples, sample{key: key, bad: errNoImage})
	}
	s := &r.samples[len(r.samples)-1]
	switch ending {
	case "jpg", "jpeg", "png":
		if s.length > 0 || !errors.Is(s.bad, errNoImage) {
			return fmt.Errorf("the sample %s has two images; give each a key of its own", key)
		}
		return r.image(t, h.Size, s)
	case labelMember, labelsMember:
		if r.labels {
			return s.readLabel(t, h.Size, ending)
		}
	}
	return nil
}

// keyOf a member is its name up to the first point of its last part, as the WebDataset library splits it.
func keyOf(name string) (key, ending string, ok bool) {
	name = path.Clean(name)
	folder, base := path.Split(name)
	base, ending, ok = strings.Cut(base, ".")
	return folder + base, strings.ToLower(ending), ok && base != ""
}

// image is decoded, and kept while all so far fit into memory.
func (r *shardReader) image(t io.Reader, size int64, s *sample) error {
	s.offset, s.length = r.position, size
	if size > maxFileBytes {
		s.bad = fmt.Errorf("%d bytes, more than %d", size, int64(maxFileBytes))
		return nil
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(t, data); err != nil {
		return err
	}
	m, err := checked(data, r.name+"/"+s.key)
	if s.bad = err; r.sum.Add(m.bytes()) <= r.memory {
		s.image = &m
	}
	return nil
}

// readLabel of a .cls member, a number or a class's name, or else of a .json member's label.
func (s *sample) readLabel(t io.Reader, size int64, ending string) error {
	if size > maxLabel {
		return fmt.Errorf("%d bytes, more than the %d of a label", size, maxLabel)
	}
	data, err := io.ReadAll(t)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(data))
	if ending == labelsMember {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		raw, ok := fields[labelOfJSON]
		if !ok || s.labelled { // .cls comes first
			return nil
		}
		if text = string(raw); strings.HasPrefix(text, `"`) {
			if err := json.Unmarshal(raw, &text); err != nil {
				return err
			}
		}
	}
	if n, err := strconv.Atoi(text); err == nil {
		text = strconv.Itoa(n) // 007 is 7
	}
	if text == "" {
		return errors.New("the label is empty")
	}
	s.label, s.labelled = text, true
	return nil
}
