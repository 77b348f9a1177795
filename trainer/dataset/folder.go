package dataset

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// openFolder reads train/<class>/<file> or {test,val}/<class>/<file>. The classes are the folders of
// train/, sorted; images are in the order of class and file name.
func openFolder(ctx context.Context, from source, limit int, o Options) (*Set, error) {
	classes, err := subfolders(ctx, from, "train", o.Field)
	if err != nil {
		return nil, err
	}
	root, found, err := splitFolder(ctx, from, classes, o)
	if err != nil {
		return nil, err
	}
	number := map[string]int{}
	for i, c := range classes {
		number[c] = i
	}
	var files []string
	var labels []int
	for _, class := range found {
		names, err := imageFiles(ctx, from, path.Join(root, class))
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, contract.UserErrorf("EmptyFolder", "%s has no .jpg, .jpeg or .png file; add images, or remove the folder", from.path(path.Join(root, class)))
		}
		label, ok := number[class]
		if !ok {
			return nil, contract.UserErrorf("ClassesDiffer", "%s is a class that %s does not have; add it there, or remove the folder", from.path(path.Join(root, class)), from.path("train"))
		}
		for _, n := range names {
			files, labels = append(files, n), append(labels, label)
		}
	}
	keep, err := firstOfEach(labels, len(classes), limit, o.Field)
	if err != nil {
		return nil, err
	}
	s := &Set{classes: classes}
	for _, k := range keep {
		s.files, s.labels = append(s.files, files[k]), append(s.labels, labels[k])
	}
	if err := s.decodeAll(ctx, from, o); err != nil {
		return nil, err
	}
	return s, nil
}

// splitFolder is the folder of a split and its class folders.
func splitFolder(ctx context.Context, from source, classes []string, o Options) (string, []string, error) {
	if o.Split == Train {
		return "train", classes, nil
	}
	root := "test"
	if _, err := from.stat(ctx, root); errors.Is(err, fs.ErrNotExist) {
		if _, err := from.stat(ctx, "val"); !errors.Is(err, fs.ErrNotExist) {
			root = "val"
		}
	}
	found, err := subfolders(ctx, from, root, o.Field)
	return root, found, err
}

// openImages reads the image files of one folder, without labels.
func openImages(ctx context.Context, from source, limit int, o Options) (*Set, error) {
	if o.Split == Test {
		return nil, contract.UserErrorf("NoLabels", "%s.format Images has no test split; set spec.evaluation.dataset to a labelled dataset, or leave linearEvaluation, finetuning and knn out", o.Field)
	}
	files, err := imageFiles(ctx, from, "")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, contract.UserErrorf("EmptyFolder", "%s has no .jpg, .jpeg or .png file; add images, or, if they are in train/<class>/, set %s.format to ImageFolder", from.path(""), o.Field)
	}
	keep, err := firstOfEach(noLabels(len(files)), 0, limit, o.Field)
	if err != nil {
		return nil, err
	}
	s := &Set{files: files[:len(keep)], labels: noLabels(len(keep))}
	if err := s.decodeAll(ctx, from, o); err != nil {
		return nil, err
	}
	return s, nil
}

// subfolders of dir, sorted; hidden ones (lost+found of a new volume, too) are not classes.
func subfolders(ctx context.Context, from source, folder, field string) ([]string, error) {
	if err := checkDir(ctx, from, folder, field+".format ImageFolder"); err != nil {
		return nil, err
	}
	entries, err := from.list(ctx, folder)
	if err != nil {
		return nil, missing(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "lost+found" {
			continue
		}
		is, err := isFolder(ctx, from, folder, e)
		if err != nil {
			return nil, err
		}
		if is {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, contract.UserErrorf("EmptyFolder", "%s has no folder of a class; put images into %s, or set %s.format to Images", from.path(folder), from.path(path.Join(folder, "<class>")), field)
	}
	return names, nil
}

// isFolder also follows a link.
func isFolder(ctx context.Context, from source, folder string, e fs.DirEntry) (bool, error) {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir(), nil
	}
	info, err := from.stat(ctx, path.Join(folder, e.Name()))
	if accessError(err) != nil {
		return false, accessError(err) // or an outage would make a class disappear
	}
	return err == nil && info.IsDir(), nil
}

// imageFiles of a folder by name's ending, sorted.
func imageFiles(ctx context.Context, from source, folder string) ([]string, error) {
	entries, err := from.list(ctx, folder)
	if err != nil {
		return nil, missing(err)
	}
	var files []string
	for _, e := range entries {
		switch strings.ToLower(path.Ext(e.Name())) {
		case ".jpg", ".jpeg", ".png":
			if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, path.Join(folder, e.Name()))
			}
		}
	}
	return files, nil
}
