package dataset

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"gocloud.dev/blob"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// pageSize is how many objects a request lists: the most that S3 gives.
const pageSize = 1000

// bucket of an object store: a source. A slash in an object's key makes folders, as the stores' own tools have it.
type bucket struct {
	*remote
	blobs  *blob.Bucket
	prefix string // of all keys: empty, or with a slash at its end
}

// splitBucket splits scheme://BUCKET/PREFIX. The rest is taken as it is: keys are no URLs.
func splitBucket(uri, field string) (name, prefix string, err error) {
	scheme, rest, _ := strings.Cut(uri, "://")
	name, prefix, _ = strings.Cut(rest, "/")
	if name == "" || strings.ContainsAny(name, "?#@") {
		return "", "", contract.UserErrorf("InvalidURI", "%s.uri %s names no bucket; write %s://BUCKET/PATH", field, uri, scheme)
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return name, prefix, nil
}

func (b *bucket) key(name string) string { return b.prefix + name }

// below is the prefix of what is in a folder.
func (b *bucket) below(folder string) string {
	if folder == "" {
		return b.prefix
	}
	return b.prefix + folder + "/"
}

// page of a listing.
type page struct {
	objects []*blob.ListObject
	next    []byte
}

func (b *bucket) page(ctx context.Context, folder string, token []byte, size int) (page, error) {
	return try(ctx, b.remote, folder, func() (p page, err error) {
		ctx, cancel := context.WithTimeout(ctx, stallTimeout)
		defer cancel()
		p.objects, p.next, err = b.blobs.ListPage(ctx, token, size, &blob.ListOptions{Prefix: b.below(folder), Delimiter: "/"})
		return p, err
	})
}

func (b *bucket) list(ctx context.Context, folder string) ([]fs.DirEntry, error) {
	var entries []fs.DirEntry
	for token := blob.FirstPageToken; len(token) > 0; {
		p, err := b.page(ctx, folder, token, pageSize)
		if err != nil {
			return nil, err
		}
		for _, o := range p.objects {
			name := strings.TrimSuffix(strings.TrimPrefix(o.Key, b.below(folder)), "/")
			if name != "" { // of the empty object that some tools make for a folder
				entries = append(entries, fs.FileInfoToDirEntry(remoteInfo{name, o.Size, o.ModTime, o.IsDir}))
			}
		}
		token = p.next
	}
	if len(entries) == 0 && b.below(folder) != "" {
		if _, err := b.stat(ctx, folder); err != nil {
			return nil, err
		}
	}
	// The order of keys is not that of names: a folder's key goes on with a slash.
	slices.SortFunc(entries, func(x, y fs.DirEntry) int { return cmp.Compare(x.Name(), y.Name()) })
	return entries, nil
}

// stat: a folder is there where something is in it.
func (b *bucket) stat(ctx context.Context, name string) (fs.FileInfo, error) {
	info := remoteInfo{name: path.Base(name), folder: true}
	p, err := b.page(ctx, name, blob.FirstPageToken, 1)
	if err != nil {
		return nil, err
	}
	if len(p.objects) > 0 || b.below(name) == "" {
		return info, nil
	}
	if name == "" {
		return nil, &fs.PathError{Op: "stat", Path: b.path(name), Err: fs.ErrNotExist}
	}
	return try(ctx, b.remote, name, func() (fs.FileInfo, error) {
		ctx, cancel := context.WithTimeout(ctx, stallTimeout)
		defer cancel()
		a, err := b.blobs.Attributes(ctx, b.key(name))
		if err != nil {
			return nil, err
		}
		return remoteInfo{path.Base(name), a.Size, a.ModTime, false}, nil
	})
}

func (b *bucket) open(ctx context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	return openRemote(ctx, b.remote, name, offset, func(ctx context.Context, offset int64) (connection, error) {
		r, err := b.blobs.NewRangeReader(ctx, b.key(name), offset, -1, nil)
		if err != nil {
			return connection{}, err
		}
		return connection{body: r, size: r.Size(), version: r.ModTime().String()}, nil
	})
}
