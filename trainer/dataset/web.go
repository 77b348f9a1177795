package dataset

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// web is the files below a URL: a source. A web server lists nothing.
type web struct {
	*remote
	base   *url.URL
	client *http.Client
}

// openWeb opens https://HOST/PATH, or http.
func openWeb(spec v1alpha1.DatasetSpec, o Options) (source, error) {
	base, err := url.Parse(spec.URI)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, contract.UserErrorf("InvalidURI", "%s.uri %q is no URL of a folder of files; write https://HOST/PATH, without user and query", o.Field, spec.URI)
	}
	pool, err := caBundle(spec, o)
	if err != nil {
		return nil, err
	}
	client := o.Client
	if client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transportOptions(pool)(transport)
		client = &http.Client{Transport: transport}
	}
	r := newRemote(trimSlash(spec.URI), o)
	r.denied = "correct " + o.Field + ".uri, or let the server give its files without credentials"
	return &web{r, base, client}, nil
}

func (w *web) list(context.Context, string) ([]fs.DirEntry, error) {
	return nil, errors.ErrUnsupported
}

// stat takes the root for a folder without asking: what is missing shows with its files.
func (w *web) stat(ctx context.Context, name string) (fs.FileInfo, error) {
	if name == "" {
		return remoteInfo{name: path.Base(w.base.Path), folder: true}, nil
	}
	return try(ctx, w.remote, name, func() (fs.FileInfo, error) {
		ctx, cancel := context.WithTimeout(ctx, stallTimeout)
		defer cancel()
		resp, err := w.ask(ctx, http.MethodHead, name, 0)
		if err != nil {
			return nil, err
		}
		return remoteInfo{name: path.Base(name), size: resp.ContentLength}, resp.Body.Close()
	})
}

func (w *web) open(ctx context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	return openRemote(ctx, w.remote, name, offset, func(ctx context.Context, offset int64) (connection, error) {
		resp, err := w.ask(ctx, http.MethodGet, name, offset)
		if err != nil {
			return connection{}, err
		}
		c := connection{body: resp.Body, size: resp.ContentLength, version: resp.Header.Get("ETag") + resp.Header.Get("Last-Modified")}
		if offset == 0 {
			return c, nil
		}
		if resp.StatusCode == http.StatusPartialContent {
			if c.size >= 0 {
				c.size += offset
			}
			return c, nil
		}
		if _, err := io.CopyN(io.Discard, resp.Body, offset); err != nil { // a server without ranges begins anew
			_ = resp.Body.Close() // nothing was written
			return connection{}, err
		}
		return c, nil
	})
}

// ask the server once.
func (w *web) ask(ctx context.Context, method, name string, offset int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.base.JoinPath(strings.Split(name, "/")...).String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // sizes are the files'
	if offset > 0 {
		req.Header.Set("Range", rangeFrom(offset))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusPartialContent {
		_ = resp.Body.Close() // nothing was written
		return nil, &statusError{resp.StatusCode, resp.Status}
	}
	return resp, nil
}

func trimSlash(uri string) string { return strings.TrimRight(uri, "/") }
