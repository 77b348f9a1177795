package checkpoint

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// manifest of a checkpoint.
type manifest struct {
	SchemaVersion int             `json:"schemaVersion"`
	Stage         string          `json:"stage"`
	Attempt       int32           `json:"attempt"`
	ConfigHash    string          `json:"configHash"`
	Step          int64           `json:"step"`
	Epoch         int32           `json:"epoch"`
	Batch         int64           `json:"batch"`
	Environment   Environment     `json:"environment"`
	Extra         json.RawMessage `json:"extra,omitempty"`
	StateSHA256   string          `json:"stateSHA256"`
}

// sealed is a manifest with its own checksum: a flipped bit of a step number would be valid JSON.
type sealed struct {
	SHA256   string          `json:"sha256"`
	Manifest json.RawMessage `json:"manifest"`
}

const schemaVersion = 1

// Save writes a checkpoint: all of it under a temporary name, brought to the disk, then one rename, then
// the pointer, then the oldest ones go. Whatever fails, the checkpoints before stay as they are. Errors
// have exit code 14; a newer attempt's begin is one (StaleAttempt).
func (s *Store) Save(st State) error {
	doing := fmt.Sprintf("saving the checkpoint of stage %s, step %d", s.stage, st.Step)
	if err := s.Fence(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(s.dir, temporary+stepPrefix+"*")
	if err != nil {
		return StorageError(err, doing)
	}
	err = s.write(tmp, st)
	if err == nil {
		err = s.Fence() // writing takes long: is it still this attempt's turn?
	}
	if err == nil {
		err = s.promote(tmp, st.Step)
	}
	if err != nil {
		return StorageError(errors.Join(err, os.RemoveAll(tmp)), doing)
	}
	if err := WriteFile(filepath.Join(s.dir, latestFile), []byte(filepath.Base(s.Path(st.Step))+"\n")); err != nil {
		return err
	}
	return StorageError(s.prune(st.Step), doing)
}

// write makes both files in a directory and brings them to the disk.
func (s *Store) write(dir string, st State) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	sum, err := writeTensors(filepath.Join(dir, stateFile), st.Tensors)
	if err != nil {
		return err
	}
	body, err := json.Marshal(manifest{
		SchemaVersion: schemaVersion, Stage: s.stage, Attempt: s.o.Attempt, ConfigHash: s.o.ConfigHash,
		Step: st.Step, Epoch: st.Epoch, Batch: st.Batch, Environment: s.o.Environment,
		Extra: st.Extra, StateSHA256: sum,
	})
	if err != nil {
		return err
	}
	seal := sha256.Sum256(body)
	raw, err := json.Marshal(sealed{hex.EncodeToString(seal[:]), body})
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, manifestFile), raw) // also brings the directory to the disk
}

func writeTensors(path string, tensors []safetensors.Tensor) (sum string, err error) {
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, h), 1<<20)
	err = safetensors.Write(w, tensors, nil)
	if err == nil {
		err = w.Flush()
	}
	return hex.EncodeToString(h.Sum(nil)), finish(f, err)
}

// promote gives a complete checkpoint its name. One of that step that is valid is as good: it stays.
func (s *Store) promote(tmp string, step int64) error {
	path := s.Path(step)
	if _, err := os.Lstat(path); err == nil {
		switch gone, err := s.damaged(step); {
		case err != nil:
			return err
		case !gone:
			return os.RemoveAll(tmp)
		}
		if err := s.remove(path); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(s.dir)
}

// damaged: a checkpoint is verified to be of no use. Where that cannot be told it is an error.
func (s *Store) damaged(step int64) (bool, error) {
	_, err := s.read(step)
	if _, ok := errors.AsType[damageError](err); ok {
		return true, nil
	}
	return false, err
}

// prune leaves the newest Keep up to the one just saved. Of later ones, which Load has skipped, only those
// go that are damaged.
func (s *Store) prune(saved int64) error {
	steps, err := s.steps()
	if err != nil {
		return err
	}
	from := slices.Index(steps, saved)
	if from < 0 {
		return fmt.Errorf("%s is gone", s.Path(saved))
	}
	for i, step := range steps {
		if i < from {
			if gone, err := s.damaged(step); err != nil || !gone {
				continue // it may be good, or another's: not ours to remove
			}
		} else if i < from+max(1, s.o.Keep) {
			continue
		}
		if err := s.remove(s.Path(step)); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a checkpoint's name first, so that a crash leaves no half of one.
func (s *Store) remove(path string) error {
	gone := filepath.Join(s.dir, temporary+"removed-"+filepath.Base(path))
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(path, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}
