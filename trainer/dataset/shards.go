package dataset

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// splitWord is the first word of a shard's path that is a split's name: train/0001.tar, imagenet-val-000.tar.
var splitWord = regexp.MustCompile(`(?:^|[-_./])(train|training|test|val|valid|validation)(?:[-_./0-9]|$)`)

// wordOf a path: train, test or val, or "".
func wordOf(name string) string {
	match := splitWord.FindStringSubmatch(name)
	switch {
	case match == nil:
		return ""
	case strings.HasPrefix(match[1], "val"):
		return "val"
	case match[1] == "training":
		return "train"
	}
	return match[1]
}

// cutPattern of shards off a uri: the root that their names are below, and the pattern, "" where there is none.
func cutPattern(uri string) (root, pattern string) {
	before, _, found := strings.Cut(uri, "{")
	if !found {
		return uri, ""
	}
	slash := strings.LastIndexByte(before, '/')
	return uri[:slash+1], uri[slash+1:]
}

// shardsOf a split, sorted: those that the pattern names, or all .tar files below the root and its folders of splits.
func shardsOf(ctx context.Context, from source, pattern string, o Options) ([]string, error) {
	var names []string
	var err error
	if pattern != "" {
		if names, err = expandBraces(pattern); err != nil {
			return nil, contract.UserErrorf("InvalidURI", "%s.uri: %w; write such as {train-{000000..000146},val-{000000..000005}}.tar", o.Field, err)
		}
	} else if names, err = listShards(ctx, from, o.Field); err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".tgz") {
			return nil, compressed(from.path(name))
		}
	}
	names = ofSplit(names, o.Split)
	slices.Sort(names)
	switch {
	case len(names) > 0:
		return slices.Compact(names), nil
	case o.Split == Test:
		return nil, contract.UserErrorf("NoShards", "%s has no test shards; name them test-….tar or val-….tar, or put them into test/ or val/, or set spec.evaluation.dataset, or leave linearEvaluation, finetuning and knn out", from.path(""))
	}
	return nil, contract.UserErrorf("NoShards", "%s has no training shards; name them train-….tar, or put them into train/, or correct %s.format or uri", from.path(""), o.Field)
}

func compressed(shard string) error {
	return contract.UserErrorf("InvalidFile", "%s is compressed, and an image can not be read from amid it; unpack it to .tar: JPEG files hardly become smaller", shard)
}

// ofSplit are the names of a split. Where no name has a split's word, all are training shards.
func ofSplit(names []string, split Split) []string {
	by := map[string][]string{}
	for _, name := range names {
		by[wordOf(name)] = append(by[wordOf(name)], name)
	}
	switch {
	case split == Train && len(by) == 1 && by[""] != nil:
		return by[""]
	case split == Train:
		return by["train"]
	case by["test"] != nil:
		return by["test"]
	}
	return by["val"]
}

// listShards are the .tar files of the root and of its folders with a split's name, also those that are compressed.
func listShards(ctx context.Context, from source, field string) ([]string, error) {
	entries, err := from.list(ctx, "")
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, contract.UserErrorf("InvalidURI", "%s.uri: a web server lists no shards; name them in it: https://HOST/PATH/{train-{000000..000146},val-{000000..000005}}.tar", field)
	}
	if err != nil {
		return nil, missing(err)
	}
	names := tars("", entries)
	for _, e := range entries {
		if wordOf(e.Name()) == "" || isTar(e.Name()) {
			continue
		}
		folder, err := isFolder(ctx, from, "", e)
		if err != nil {
			return nil, err
		}
		if !folder {
			continue
		}
		below, err := from.list(ctx, e.Name())
		if err != nil {
			return nil, missing(err)
		}
		names = append(names, tars(e.Name(), below)...)
	}
	return names, nil
}

// tars of a folder.
func tars(folder string, entries []fs.DirEntry) []string {
	var names []string
	for _, e := range entries {
		if isTar(e.Name()) && !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, path.Join(folder, e.Name()))
		}
	}
	return names
}

func isTar(name string) bool {
	return strings.HasSuffix(name, ".tar") || strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}
