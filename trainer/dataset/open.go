package dataset

import (
	"context"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Split of a dataset.
type Split int

// The splits.
const (
	Train Split = iota
	Test
)

// String is the split's name, also its folder's.
func (s Split) String() string {
	if s == Test {
		return "test"
	}
	return "train"
}

// Options of Open that are not the dataset's own.
type Options struct {
	Split Split
	// Field of the API that has the dataset, for messages. Empty: spec.dataset.
	Field string
	// Directory, if set, holds the files, in place of the spec's uri and of a known name's download.
	Directory string
	// Mirror is the base URL of known datasets, <mirror>/<name>/<file>; empty: upstream.
	Mirror string
	// Cache is the directory of downloaded files, <cache>/<name>/<file>.
	Cache string
	// ClaimsDir is the directory of pvc:// URIs: pvc://CLAIM/PATH is <ClaimsDir>/CLAIM/PATH. Empty: contract.DataDir.
	ClaimsDir string
	// Classes of the training split, which those of a test split's shards must be among; nil: they are not known.
	Classes []string
	// MemoryBytes of images are kept; larger sets of files are decoded at each access, and a larger set of
	// one file, IDX or CIFAR, is a user error. 0: 2 GiB.
	MemoryBytes int64
	// Workers decode in parallel. 0: 1.
	Workers int
	// Progress of the download, in bytes of one file, and of decoding, in images; may be nil.
	Progress func(what string, done, total int64)
	// Warn tells what is tried again, now and then; may be nil.
	Warn func(message string)
	// Secrets is the directory of what the spec's credentials and caBundle refer to, contract.SecretsDir in a pod.
	// Empty: credentials are looked for where the tools of AWS and Google look, and caBundle is CABundle.
	Secrets string
	// CABundle is a file of certificates to trust beside the system's, where no caBundle of the spec is in Secrets.
	CABundle string
	// Client of downloads; nil: one with timeouts.
	Client *http.Client
}

const defaultMemoryBytes = 2 << 30

func (o Options) report(what string, done, total int64) {
	if o.Progress != nil {
		o.Progress(what, done, total)
	}
}

// flag of the command that sets Directory.
func (o Options) flag() string {
	if o.Field == evaluationField {
		return "--evaluation-dataset"
	}
	return "--dataset"
}

// The fields of the API that have a dataset.
const (
	datasetField    = "spec.dataset"
	evaluationField = "spec.evaluation.dataset"
)

// Open reads a split of the dataset of a resolved spec, and decodes every image, to know the bad ones. Bad
// data is a user error (exit 10) that names the file or field and the fix; failing storage is exit 14. Images that
// are read at each access are read until ctx ends: it lives as long as the Set is used.
func Open(ctx context.Context, spec v1alpha1.DatasetSpec, o Options) (*Set, error) {
	if o.MemoryBytes == 0 {
		o.MemoryBytes = defaultMemoryBytes
	}
	if o.Field == "" {
		o.Field = datasetField
	}
	o.Workers = max(o.Workers, 1)
	pattern := ""
	if spec.Format == v1alpha1.FormatWebDataset && o.Directory == "" {
		spec.URI, pattern = cutPattern(spec.URI)
	}
	from, format, classes, err := locate(ctx, spec, o)
	if err != nil {
		return nil, err
	}
	if _, ok := from.(*web); ok && (format == v1alpha1.FormatImageFolder || format == v1alpha1.FormatImages) {
		return nil, unlisted(o.Field)
	}
	limit := 0
	if spec.Limit != nil && o.Split == Train {
		limit = int(*spec.Limit)
	}
	var s *Set
	switch format {
	case v1alpha1.FormatIDX:
		s, err = openIDX(ctx, from, limit, o)
	case v1alpha1.FormatCIFAR:
		s, err = openCIFAR(ctx, from, limit, o)
	case v1alpha1.FormatImageFolder:
		s, err = openFolder(ctx, from, limit, o)
	case v1alpha1.FormatImages:
		s, err = openImages(ctx, from, limit, o)
	case v1alpha1.FormatWebDataset:
		s, err = openWebDataset(ctx, from, pattern, limit, spec.Labels != v1alpha1.LabelsNone, o)
	default:
		err = contract.UserErrorf("UnknownFormat", "%s.format %q is not known; set it to ImageFolder, WebDataset, CIFAR, IDX or Images", o.Field, format)
	}
	if err != nil {
		return nil, err
	}
	if len(classes) == len(s.classes) { // not of other files in o.Directory
		s.classes = classes
	}
	if spec.Labels == v1alpha1.LabelsNone {
		s.forgetLabels()
	}
	return s, nil
}

// locate the source of the files and their format; names of classes where the files have none.
func locate(ctx context.Context, spec v1alpha1.DatasetSpec, o Options) (source, v1alpha1.DatasetFormat, []string, error) {
	if spec.Name != "" {
		k, err := lookUp(spec.Name, o.Field)
		if err != nil {
			return nil, "", nil, err
		}
		dir := o.Directory
		if dir == "" {
			dir, err = fetchKnown(ctx, spec.Name, k, o)
		} else {
			err = checkDir(ctx, directory(dir), "", o.flag())
		}
		return directory(dir), k.format, k.classes, err
	}
	if o.Directory != "" {
		from := directory(o.Directory)
		return from, spec.Format, nil, checkDir(ctx, from, "", o.flag())
	}
	from, err := newSource(ctx, spec, o)
	if err == nil {
		err = checkDir(ctx, from, "", o.Field+".uri "+spec.URI)
	}
	return from, spec.Format, nil, err
}

// newSource is the files below a spec's uri. Of one that ends with the names of files, cut them off before.
func newSource(ctx context.Context, spec v1alpha1.DatasetSpec, o Options) (source, error) {
	switch scheme, _, _ := strings.Cut(spec.URI, "://"); scheme {
	case "s3":
		return openS3(ctx, spec, o)
	case "gs":
		return openGCS(ctx, spec, o)
	case "http", "https":
		return openWeb(spec, o)
	}
	dir, err := resolve(spec.URI, o.ClaimsDir, o.Field)
	return directory(dir), err
}

// resolve a URI to a directory.
func resolve(uri, claims, field string) (string, error) {
	u, err := url.Parse(uri)
	if err != nil || uri == "" {
		return "", contract.UserErrorf("InvalidURI", "%s.uri %q is not a URI; set it to pvc://CLAIM/PATH or s3://BUCKET/PATH, or set %s.name", field, uri, field)
	}
	switch u.Scheme {
	case "file":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return "", contract.UserErrorf("InvalidURI", "%s.uri %s has no absolute path; write file:///PATH with three slashes", field, uri)
		}
		return filepath.Clean(u.Path), nil
	case "pvc":
		if claims == "" {
			claims = contract.DataDir
		}
		// As of a rooted path, so that no .. leads out of the claim.
		if u.Host == "" || strings.Contains(u.Host, "..") {
			return "", contract.UserErrorf("InvalidURI", "%s.uri %s names no claim; write pvc://CLAIM/PATH", field, uri)
		}
		return filepath.Join(claims, u.Host, filepath.Clean("/"+u.Path)), nil
	}
	return "", contract.UserErrorf("InvalidURI", "%s.uri %s: the scheme %q is not supported; write pvc://CLAIM/PATH, s3://BUCKET/PATH, gs://BUCKET/PATH or https://HOST/PATH", field, uri, u.Scheme)
}

func (s *Set) forgetLabels() {
	s.classes = nil
	for i := range s.labels {
		s.labels[i] = -1
	}
}

// firstOfEach keeps the first limit images, the same number of each class (the rest of the division is
// dropped), or of the whole without labels. limit 0 keeps all. The result is in the order of the set.
func firstOfEach(labels []int, classes, limit int, field string) ([]int, error) {
	if limit > len(labels) {
		return nil, contract.UserErrorf("TooFewImages", "%s.limit is %d and there are only %d training images; lower it, or leave it out", field, limit, len(labels))
	}
	if limit > 0 && limit < classes {
		return nil, contract.UserErrorf("TooFewImages", "%s.limit is %d and there are %d classes; set it to at least one image a class", field, limit, classes)
	}
	var keep []int
	count := make([]int, classes+1) // the last is of images without a label
	share := limit / max(classes, 1)
	for i, label := range labels {
		if label < 0 {
			label = classes
		}
		if limit == 0 || count[label] < share {
			keep = append(keep, i)
			count[label]++
		}
	}
	return keep, nil
}
