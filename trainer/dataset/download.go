package dataset

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const downloadAttempts = 5

// Variables for the tests.
var (
	// stallTimeout: without a byte for so long, a download or a request is tried again.
	stallTimeout = 60 * time.Second
	// firstBackoff before it is tried again; it doubles each time.
	firstBackoff = time.Second
)

// fetchKnown makes the files of a split be in the cache and is their directory.
func fetchKnown(ctx context.Context, name string, k known, o Options) (string, error) {
	dir := filepath.Join(o.Cache, name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", cacheFailed(err, "make the dataset cache")
	}
	for _, f := range k.files[o.Split] {
		path := filepath.Join(dir, f.name)
		if verify(path, f) == nil {
			removeLeft(path)
			continue
		}
		if err := fetch(ctx, k.urls(o.Mirror, name, f), path, f, o); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// fetch a file from the first URL that has it. The error is the last URL's.
func fetch(ctx context.Context, urls []string, path string, f remoteFile, o Options) error {
	var err error
	for _, u := range urls {
		if err = fetchFrom(ctx, u, path, f, o); err == nil || ctx.Err() != nil || contract.ExitCode(err) == contract.ExitStorage {
			return err
		}
	}
	return unreachable(err)
}

// fetchFrom downloads into a partial file, checks it and renames it, so that a file of the cache is always
// whole. A broken transfer is resumed where it ended, also by another process.
func fetchFrom(ctx context.Context, url, path string, f remoteFile, o Options) error {
	tmp, resumed, err := openPartial(path)
	if err != nil {
		return err
	}
	defer func() {
		_ = os.Remove(tmp.Name()) // gone already where it was renamed
		_ = tmp.Close()           // what is kept has been synced
	}()
	for {
		if err := complete(ctx, url, tmp, o); err != nil {
			return err
		}
		bad := verify(tmp.Name(), f)
		if bad == nil {
			break
		}
		if !resumed {
			return contract.UserErrorf("ChecksumMismatch", "%s is not the file that was expected: %w; use another mirror (Helm value datasetMirror, or --dataset-mirror), or no mirror", url, bad)
		}
		resumed = false // what was left may have been of another file
		if err := empty(tmp); err != nil {
			return err
		}
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Sync(), os.Rename(tmp.Name(), path)); err != nil {
		return cacheFailed(err, "keep "+path)
	}
	return nil
}

// complete a partial file.
func complete(ctx context.Context, url string, tmp *os.File, o Options) error {
	for attempt := 1; ; attempt++ {
		err := transfer(ctx, url, tmp, o)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if contract.ExitCode(err) != 1 || attempt == downloadAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(firstBackoff << (attempt - 1)):
		}
	}
}

// transfer gets the rest of a file. What can not get better by trying again is a user or storage error.
func transfer(ctx context.Context, url string, tmp *os.File, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stalled := time.AfterFunc(stallTimeout, cancel)
	defer stalled.Stop()
	have, err := tmp.Seek(0, io.SeekEnd)
	if err != nil {
		return cacheFailed(err, "download "+url)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || (req.URL.Scheme != "http" && req.URL.Scheme != "https") {
		return contract.UserErrorf("InvalidMirror", "the dataset mirror gives %q, which is no http or https URL; correct the mirror", url)
	}
	req.Header.Set("Accept-Encoding", "identity")
	if have > 0 {
		req.Header.Set("Range", rangeFrom(have))
	}
	client := o.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return contract.Errorf(1, "DownloadFailed", "download %s: %w", url, err)
	}
	defer resp.Body.Close()
	if have, err = position(resp, have, tmp, url); err != nil {
		return err
	}
	return receive(resp, have, tmp, url, o, stalled)
}

// position puts tmp where the answer begins.
func position(resp *http.Response, have int64, tmp *os.File, url string) (int64, error) {
	switch c := resp.StatusCode; {
	case c == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
		return have, nil
	case c == http.StatusOK, c == http.StatusPartialContent, c == http.StatusRequestedRangeNotSatisfiable:
		if _, err := tmp.Seek(0, io.SeekStart); err != nil {
			return 0, cacheFailed(err, "download "+url)
		}
		if err := tmp.Truncate(0); err != nil {
			return 0, cacheFailed(err, "download "+url)
		}
		if c == http.StatusOK {
			return 0, nil
		}
		return 0, contract.Errorf(1, "DownloadFailed", "download %s: %s to a request to resume", url, resp.Status)
	case c >= 400 && c < 500 && c != http.StatusRequestTimeout && c != http.StatusTooManyRequests:
		return 0, contract.UserErrorf("DownloadNotFound", "download %s: wanted 200, got %s; correct the dataset mirror (Helm value datasetMirror, or --dataset-mirror: <mirror>/<name>/<file>), or use none", url, resp.Status)
	}
	return 0, contract.Errorf(1, "DownloadFailed", "download %s: wanted 200, got %s", url, resp.Status)
}

// maxDownload is larger than every known file: a server that sends without end does not fill the disk.
const maxDownload = 1 << 30

func receive(resp *http.Response, have int64, tmp *os.File, url string, o Options, stalled *time.Timer) error {
	total, buf := int64(-1), make([]byte, 256<<10)
	if resp.ContentLength >= 0 {
		total = have + resp.ContentLength
	}
	for have <= maxDownload {
		n, err := resp.Body.Read(buf)
		stalled.Reset(stallTimeout)
		if n > 0 {
			if _, err := tmp.Write(buf[:n]); err != nil {
				return cacheFailed(err, "download "+url)
			}
			have += int64(n)
			o.report("download "+url, have, total)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return contract.Errorf(1, "DownloadFailed", "download %s: wanted %d bytes, got %d: %w", url, total, have, err)
		}
	}
	return contract.UserErrorf("DownloadTooLarge", "download %s: more than %d bytes; use another mirror, or none", url, int64(maxDownload))
}

// verify says how a file differs from what is wanted.
func verify(path string, f remoteFile) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var r io.Reader = file
	if !f.whole {
		if r, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("wanted a gzip file, got %w", err)
		}
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, f.size+1))
	if err != nil {
		return fmt.Errorf("wanted %d bytes of content, got %d and then %w", f.size, n, err)
	}
	if n > f.size {
		return fmt.Errorf("wanted %d bytes of content, got more", f.size)
	}
	if n < f.size {
		return fmt.Errorf("wanted %d bytes of content, got %d", f.size, n)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.sha256 {
		return fmt.Errorf("wanted the SHA-256 %s of its content, got %s", f.sha256, got)
	}
	return nil
}

// rangeFrom is the header of a request for the rest of a file.
func rangeFrom(offset int64) string { return fmt.Sprintf("bytes=%d-", offset) }

func cacheFailed(err error, doing string) error {
	return contract.Errorf(contract.ExitStorage, "CacheFailed", "%s: %w", doing, err)
}
