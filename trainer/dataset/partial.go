package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// A download is written to a partial file until it is whole: hidden, beside the file, and locked, so that another
// process tells one that is being written from one that a killed process has left.

func partialPrefix(path string) string { return "." + filepath.Base(path) + "." }

// openPartial of a file of the cache: one that is left, to go on with, or a new one.
func openPartial(path string) (f *os.File, resumed bool, err error) {
	if f := leftPartial(path); f != nil {
		return f, true, nil
	}
	for {
		f, err := os.CreateTemp(filepath.Dir(path), partialPrefix(path)+"*")
		if err != nil {
			return nil, false, cacheFailed(err, "download "+path)
		}
		// Between creation and lock another process may have taken it. A file system without locks has no
		// such processes either.
		if !errors.Is(lock(f), syscall.EWOULDBLOCK) {
			return f, false, nil
		}
		_ = f.Close() // nothing was written
	}
}

// leftPartial is one that no process has open any more; further ones are removed. nil: there is none.
func leftPartial(path string) *os.File {
	dir, prefix := filepath.Dir(path), partialPrefix(path)
	entries, _ := os.ReadDir(dir)
	var left *os.File
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		switch {
		case lock(f) != nil || !isAt(f, name):
			_ = f.Close() // nothing was written
		case left == nil:
			left = f
		default:
			_ = os.Remove(name) // where that fails, a later process tries again
			_ = f.Close()
		}
	}
	return left
}

// removeLeft removes what killed processes have left of a file that is whole by now.
func removeLeft(path string) {
	if f := leftPartial(path); f != nil {
		_ = os.Remove(f.Name()) // where that fails, a later process tries again
		_ = f.Close()
	}
}

// lock until the file is closed, or its process ends.
func lock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// isAt: the file has not been renamed or removed before it was locked.
func isAt(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}

// empty a partial file.
func empty(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return cacheFailed(err, "download to "+f.Name())
	}
	return nil
}

// unreachable adds to a download's error what to do, where trying again later may help.
func unreachable(err error) error {
	if contract.ExitCode(err) != 1 {
		return err
	}
	return contract.Errorf(1, "DownloadFailed", "%w; check the network, or name a mirror of the datasets (Helm value datasetMirror, or --dataset-mirror)", err)
}
