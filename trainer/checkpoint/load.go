package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// loaded is a checkpoint that is whole.
type loaded struct {
	manifest
	tensors []safetensors.Tensor
}

// damageError is of a checkpoint that will never be whole again.
type damageError struct{ error }

func damagef(format string, args ...any) error { return damageError{fmt.Errorf(format, args...)} }

func (d damageError) Unwrap() error { return d.error }

// Load reads the newest checkpoint that is whole; nil where there is none. The warnings, for a person,
// say which ones were skipped and why, and whether resuming is exact. One that cannot be read now, or
// not by this version, ends it: it may be good, and going on from an older one would replace it.
func (s *Store) Load() (*State, []string, error) {
	steps, err := s.steps()
	if err != nil {
		return nil, nil, StorageError(err, "looking for checkpoints of stage "+s.stage)
	}
	var warnings []string
	for _, step := range steps {
		c, err := s.read(step)
		if _, ok := errors.AsType[*contract.Error](err); ok {
			return nil, warnings, err
		}
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("the checkpoint of step %d was skipped: %v", step, err))
			continue
		}
		warnings = append(append(warnings, s.pointer(step)...), s.o.Environment.differences(c)...)
		return &State{Step: c.Step, Epoch: c.Epoch, Batch: c.Batch, Extra: c.Extra, Tensors: c.tensors}, warnings, nil
	}
	return nil, warnings, nil
}

// read reads and verifies a checkpoint. Its error is of damage, or has a code where the checkpoint may be
// good, or says that it is another run's.
func (s *Store) read(step int64) (*loaded, error) {
	c := &loaded{}
	body, err := s.manifest(step)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &c.manifest); err != nil {
		return nil, damagef("%s: %w", manifestFile, err)
	}
	switch {
	case c.Stage != s.stage || c.Step != step:
		return nil, fmt.Errorf("it is of stage %s, step %d", c.Stage, c.Step)
	case c.ConfigHash != s.o.ConfigHash:
		return nil, fmt.Errorf("it is of another configuration (hash %s, not %s)", c.ConfigHash, s.o.ConfigHash)
	}
	state, err := s.file(step, stateFile)
	if err != nil {
		return nil, err
	}
	if err := verify(state, c.StateSHA256); err != nil {
		return nil, damagef("%s is damaged: %w", stateFile, err)
	}
	if c.tensors, _, err = safetensors.Read(bytes.NewReader(state), int64(len(state))); err != nil {
		return nil, damagef("%s: %w", stateFile, err)
	}
	return c, nil
}

// manifest is a checkpoint's manifest in JSON, of this version and as it was written.
func (s *Store) manifest(step int64) (json.RawMessage, error) {
	raw, err := s.file(step, manifestFile)
	if err != nil {
		return nil, err
	}
	var outer sealed
	if err := json.Unmarshal(raw, &outer); err != nil {
		return nil, damagef("%s is damaged: %w", manifestFile, err)
	}
	if err := verify(outer.Manifest, outer.SHA256); err != nil {
		return nil, damagef("%s is damaged: %w", manifestFile, err)
	}
	var format struct {
		SchemaVersion int `json:"schemaVersion"`
	}
	if err := json.Unmarshal(outer.Manifest, &format); err != nil {
		return nil, damagef("%s: %w", manifestFile, err)
	}
	if format.SchemaVersion != schemaVersion {
		return nil, contract.UserErrorf("CheckpointVersion",
			"the checkpoint %s has format version %d and this trainer reads version %d: go on with the trainer image that saved it (template.image), or start in an empty output",
			s.Path(step), format.SchemaVersion, schemaVersion)
	}
	return outer.Manifest, nil
}

// file reads a checkpoint's file. One that is not there is damage; any other error of the file system may
// pass.
func (s *Store) file(step int64, name string) ([]byte, error) {
	path := filepath.Join(s.Path(step), name)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damageError{err}
	}
	return raw, StorageError(err, "reading "+path)
}

func verify(data []byte, want string) error {
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want {
		return fmt.Errorf("the SHA-256 of its %d bytes is %s, not %s", len(data), got, want)
	}
	return nil
}

// pointer warns where the pointer does not name the newest checkpoint; nothing depends on it.
func (s *Store) pointer(newest int64) []string {
	raw, err := os.ReadFile(filepath.Join(s.dir, latestFile))
	if want := filepath.Base(s.Path(newest)); err != nil || strings.TrimSpace(string(raw)) != want {
		return []string{fmt.Sprintf("the pointer %q of stage %s does not name the newest whole checkpoint, %s, which is used", latestFile, s.stage, want)}
	}
	return nil
}

// differences from the environment of a checkpoint: then resuming is not exact.
func (e Environment) differences(c *loaded) []string {
	var what []string
	if was := c.Environment.Threads; was != e.Threads {
		what = append(what, fmt.Sprintf("%d threads, now %d", was, e.Threads))
	}
	if was := c.Environment.ISA; was != e.ISA {
		what = append(what, fmt.Sprintf("%s, now %s", was, e.ISA))
	}
	if was := c.Environment.Libraries; !maps.Equal(was, e.Libraries) {
		what = append(what, fmt.Sprintf("libraries %v, now %v", was, e.Libraries))
	}
	if was, now := max(c.Environment.Workers, 1), max(e.Workers, 1); was != now {
		what = append(what, fmt.Sprintf("%d workers, now %d", was, now))
	}
	if len(what) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("the checkpoint of step %d was made with %s: the run goes on equal to rounding only", c.Step, strings.Join(what, "; "))}
}
