package dataset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func wantStorageError(t *testing.T, err error, words ...string) {
	t.Helper()
	if contract.ExitCode(err) != contract.ExitStorage {
		t.Fatalf("got %v with exit code %d, want a storage error", err, contract.ExitCode(err))
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// What can not be read for the storage's sake is no bad data, in whatever format. Linux gives a regular file
// whose reading is an I/O error: the address 0 of this process's memory.
func TestOutageIsNoBadData(t *testing.T) {
	for name, tc := range map[string]struct {
		format v1alpha1.DatasetFormat
		file   string
	}{
		"image":         {v1alpha1.FormatImageFolder, "train/cat/zz.jpg"},
		"flat image":    {v1alpha1.FormatImages, "zz.jpg"},
		"IDX":           {v1alpha1.FormatIDX, "train-images-idx3-ubyte"},
		"IDX gz":        {v1alpha1.FormatIDX, "train-images-idx3-ubyte.gz"},
		"CIFAR archive": {v1alpha1.FormatCIFAR, cifarArchiveName},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tc.format == v1alpha1.FormatImageFolder {
				dir = withBad(t)
			}
			if err := os.Symlink("/proc/self/mem", filepath.Join(dir, tc.file)); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, dir, tc.format, 0, Options{Workers: 2})
			wantStorageError(t, err, "input/output error")
		})
	}
}

func TestAccessError(t *testing.T) {
	path := func(err error) error {
		return fmt.Errorf("read x: %w", &fs.PathError{Op: "open", Path: "/data/x", Err: err})
	}
	for name, tc := range map[string]struct {
		err  error
		code int // 0: none of accessError's
	}{
		"stale":          {path(syscall.ESTALE), contract.ExitStorage},
		"timed out":      {path(os.ErrDeadlineExceeded), contract.ExitStorage},
		"not permitted":  {path(syscall.EACCES), contract.ExitUserError},
		"gone":           {path(syscall.ENOENT), 0},
		"under a file":   {path(syscall.ENOTDIR), 0},
		"bad data":       {errors.New("neither JPEG nor PNG"), 0},
		"none":           {nil, 0},
		"has a code yet": {contract.Errorf(contract.ExitStorage, "X", "x"), contract.ExitStorage},
	} {
		t.Run(name, func(t *testing.T) {
			got := accessError(tc.err)
			if (got == nil) != (tc.code == 0) || (got != nil && contract.ExitCode(got) != tc.code) {
				t.Errorf("got %v, want the exit code %d", got, tc.code)
			}
		})
	}
	wantUserError(t, accessError(path(syscall.EACCES)), "/data/x", "uid 65532")
}

// A file that this user may not read is for the user to mend. Root may read all; a thread of its own gives that up.
func TestNotReadable(t *testing.T) {
	file := filepath.Join(withBad(t, nil), "train", "cat", "bad0.jpg")
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65532); err != nil {
			t.Error(err)
		}
		_, err := readFile(context.Background(), directory(filepath.Dir(file)), filepath.Base(file))
		read <- err
	}()
	wantUserError(t, accessError(<-read), "bad0.jpg", "uid 65532")
}
