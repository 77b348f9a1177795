package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// maxFileBytes of an image file: a small file can promise a picture that fills all memory.
const maxFileBytes = 64 << 20

var errNotRegular = errors.New("not a regular file")

// readFile reads a regular file of bounded size. An error that is none of accessError's is the file's own.
func readFile(ctx context.Context, from source, name string) ([]byte, error) {
	f, size, err := from.open(ctx, name, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxFileBytes {
		return nil, fmt.Errorf("%d bytes, more than %d", size, int64(maxFileBytes))
	}
	var b bytes.Buffer
	b.Grow(int(size) + bytes.MinRead) // ReadFrom wants room to see the end
	_, err = b.ReadFrom(io.LimitReader(f, maxFileBytes))
	return b.Bytes(), err
}

// absent: the path leads nowhere.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// accessError is err where the operating system could not give a file's content: that says nothing of the
// content, and after an outage of storage the same file may be good. nil where the content is bad, or the
// file is not there.
func accessError(err error) error {
	var exit *contract.Error
	var path *fs.PathError // what os and its files return
	switch {
	case errors.As(err, &exit):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case !errors.As(err, &path) || absent(err):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return contract.UserErrorf("DatasetNotReadable", "%w; make it readable for uid 65532", err)
	}
	return contract.Errorf(contract.ExitStorage, "DatasetFailed", "%w", err)
}

// invalid is the user error of a bad file, and how to get a good one; accessError comes first.
func invalid(name string, err error, fix string) error {
	if e := accessError(err); e != nil {
		return e
	}
	return contract.UserErrorf("InvalidFile", "%s: %w; %s", name, err, fix)
}

// unlisted is the user error of a format whose files have to be listed, where the source lists none.
func unlisted(field string) error {
	return contract.UserErrorf("FormatNotListed", "%s.format needs a folder that can be listed, and a web server lists none; set it to WebDataset, CIFAR or IDX, or put the files on a claim or into a bucket", field)
}

// missing is the user error of a folder or file that is not there; accessError comes first.
func missing(err error) error {
	if e := accessError(err); e != nil {
		return e
	}
	return contract.UserErrorf("DatasetNotFound", "%w; correct the path", err)
}

// checkDir is an error unless name is a directory. what names the field or flag that says so.
func checkDir(ctx context.Context, from source, name, what string) error {
	dir := from.path(name)
	info, err := from.stat(ctx, name)
	var exit *contract.Error
	switch {
	case errors.As(err, &exit):
		return err
	case absent(err):
		return contract.UserErrorf("DatasetNotFound", "%s: the directory %s does not exist; correct the path", what, dir)
	case errors.Is(err, fs.ErrPermission):
		return contract.UserErrorf("DatasetNotReadable", "%s: %s may not be read; make it readable for uid 65532", what, dir)
	case err != nil:
		return contract.Errorf(contract.ExitStorage, "DatasetFailed", "%s: %w", what, err)
	case !info.IsDir():
		return contract.UserErrorf("DatasetNotFound", "%s: %s is not a directory; set it to the directory that holds the files", what, dir)
	}
	return nil
}
