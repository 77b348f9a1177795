// Package checkpoint keeps a run's state on disk so that no crash, full disk or late writer loses the
// last good one: checkpoints of stages, stages' results, and the manifest of the output directory.
//
//	<output>/manifest.json                               run and config hash
//	<output>/checkpoints/<stage>/attempt                 the newest attempt and which pod of it: others may not write
//	<output>/checkpoints/<stage>/step-000000123/         state.safetensors, manifest.json
//	<output>/checkpoints/<stage>/latest                  the name of the newest, for people and tools
//	<output>/stages/<stage>/result.json                  the stage is done
//	<output>/results.json                                all stages' results merged
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// temporary is the prefix of what is not finished. What a crash leaves of it is removed later.
const temporary = ".tmp-"

// StorageError gives an error of the file system the contract's exit code and a message that says what
// to do; doing is what was tried, such as "saving step 7". Errors that have a code keep it.
func StorageError(err error, doing string) error {
	var coded *contract.Error
	if err == nil || errors.As(err, &coded) {
		return err
	}
	for _, known := range []struct {
		is           []error
		reason, text string
	}{
		{[]error{syscall.ENOSPC, syscall.EDQUOT}, "DiskFull", "the output disk is full; make room or a larger claim"},
		{[]error{syscall.EROFS}, "ReadOnlyOutput", "the output disk is read-only; mount it writable"},
		{[]error{syscall.EACCES, syscall.EPERM}, "OutputPermission", "the output may not be read or written; give it to the trainer's user (65532 in a cluster)"},
	} {
		for _, is := range known.is {
			if errors.Is(err, is) {
				return contract.Errorf(contract.ExitStorage, known.reason, "%s: %s: %w", doing, known.text, err)
			}
		}
	}
	return contract.Errorf(contract.ExitStorage, "StorageFailed", "%s: %w", doing, err)
}

// WriteFile replaces a file at once: after a crash it is the old or the new one, never a part. Its
// directory is made where it is missing.
func WriteFile(path string, data []byte) error {
	return StorageError(replace(path, data), "writing "+path)
}

func replace(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, temporary+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err := finish(f, err); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// finish makes a written file readable for all, brings it to the disk and closes it.
func finish(f *os.File, err error) error {
	if err == nil {
		err = f.Chmod(0o644) // CreateTemp's own mode is 0600
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir brings a directory's entries, such as a rename, to the disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, syscall.EINVAL) { // file systems without directory fsync order renames themselves
		err = nil
	}
	return errors.Join(err, d.Close())
}

// CleanFiles removes what crashes left of writing these files of a directory; others may be somebody's.
func CleanFiles(dir string, files ...string) error {
	for _, file := range files {
		err := cleanPrefix(dir, temporary+file+"-")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the directory is not there yet
			return StorageError(err, "cleaning "+dir)
		}
	}
	return nil
}

// clean removes what a crash left unfinished in a directory.
func clean(dir string) error { return cleanPrefix(dir, temporary) }

func cleanPrefix(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("removing what a crash left: %w", err)
			}
		}
	}
	return nil
}
