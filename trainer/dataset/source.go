package dataset

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// source is where the files of a dataset are: a directory, a bucket, a web server. newSource makes the one of a URI.
// Names are slash-separated paths below its root, as io/fs has them but that the root is "": a format joins them with
// path.Join, and never knows where it reads from. It is safe for use by several goroutines.
//
// An error is of one of three classes, which absent and accessError tell apart:
//   - absent(err): there is no such file or folder;
//   - accessError(err) != nil: the storage did not give it. The error has an exit code: a permission is the user's to
//     mend (exit 10), an outage that outlasted the retries is not (exit 14). It says nothing of the content;
//   - else the file's own, such as that it is no regular file.
//
// What is transient is tried again within a call, also amid reading.
type source interface {
	// list a folder, sorted by name. A link is not followed: where an entry's type has fs.ModeSymlink, stat says what
	// it leads to. errors.ErrUnsupported: nothing can be listed here (a web server); open known names instead.
	list(ctx context.Context, folder string) ([]fs.DirEntry, error)
	// stat a file or a folder. For buckets this is a request: a file that is read need not be asked for before.
	stat(ctx context.Context, name string) (fs.FileInfo, error)
	// open a regular file to read it from an offset, in bytes, to its end; size is the whole file's. Reading goes on
	// until ctx ends: pass one that lives until Close.
	open(ctx context.Context, name string, offset int64) (r io.ReadCloser, size int64, err error)
	// path of a name, or URI, for messages.
	path(name string) string
}

// directory of this machine: a source.
type directory string

func (d directory) path(name string) string {
	return filepath.Join(string(d), filepath.FromSlash(name))
}

func (d directory) list(_ context.Context, folder string) ([]fs.DirEntry, error) {
	return os.ReadDir(d.path(folder))
}

func (d directory) stat(_ context.Context, name string) (fs.FileInfo, error) {
	return os.Stat(d.path(name))
}

func (d directory) open(_ context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	file := d.path(name)
	info, err := os.Stat(file) // before opening: opening a pipe would wait for ever
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errNotRegular
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close() // nothing was written
		return nil, 0, err
	}
	return f, info.Size(), nil
}
