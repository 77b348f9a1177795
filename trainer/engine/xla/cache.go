package xla

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
)

// cacheBytes are what kept programs may take of the disk, the one that is written not counted.
const cacheBytes = 512 << 20

// cache keeps compiled programs in a directory, each in a file named by all that it was compiled from: its SHA-256, then the
// program. What cannot be read or written is compiled again: nothing of it is an error. The zero value keeps nothing.
type cache string

// key of a program: the text, the devices, the compiler, and its options.
func (e *Engine) key(p *emit.Program) string {
	h := sha256.New()
	part := func(s string) { h.Write([]byte(strconv.Itoa(len(s)) + ":" + s)) }
	part(string(p.Text))
	part(strconv.Itoa(p.Devices))
	for _, s := range []string{e.info.Platform, e.info.Version, e.info.API, os.Getenv("XLA_FLAGS"), os.Getenv("LIBTPU_INIT_ARGS")} {
		part(s)
	}
	if e.mesh.named {
		part(fmt.Sprint("devices ", e.mesh.ids))
	}
	for _, d := range e.client.AddressableDevices() {
		if description, err := d.GetDescription(); err == nil {
			part(description.DebugString())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// read is what was kept, nil where that is nothing or damaged.
func (c cache) read(key string) []byte {
	if c == "" {
		return nil
	}
	name := filepath.Join(string(c), key)
	raw, err := os.ReadFile(name)
	if err != nil || len(raw) <= sha256.Size {
		return nil
	}
	sum := sha256.Sum256(raw[sha256.Size:])
	if !bytes.Equal(sum[:], raw[:sha256.Size]) {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(name, now, now) // the oldest go first
	return raw[sha256.Size:]
}

// write keeps a program, at once or not at all, and removes the oldest ones where all take too much.
func (c cache) write(key string, program []byte) error {
	if c == "" || len(program) == 0 {
		return nil
	}
	if err := os.MkdirAll(string(c), 0o755); err != nil {
		return err
	}
	if err := c.trim(cacheBytes); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(c), ".part-")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(program)
	_, failed := f.Write(sum[:])
	if failed == nil {
		_, failed = f.Write(program)
	}
	if err := errors.Join(failed, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), filepath.Join(string(c), key))
}

// trim removes the oldest files until the others take so many bytes at most.
func (c cache) trim(most int64) error {
	entries, err := os.ReadDir(string(c))
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // another process may have removed it
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if most -= f.Size(); most < 0 {
			if err := os.Remove(filepath.Join(string(c), f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
