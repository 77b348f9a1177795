package dataset

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// openFolder reads train/<class>/<file> or {test,val}/<class>/<file>. The classes are the folders of
// train/, sorted; images are in the order of class and file name.
func openFolder(ctx context.Context, dir string, limit int, o Options) (*Set, error) {
	classes, err := subfolders(filepath.Join(dir, "train"), o.Field)
	if err != nil {
		return nil, err
	}
	root, found, err := splitFolder(dir, classes, o)
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
		names, err := imageFiles(filepath.Join(root, class))
		if err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, contract.UserErrorf("EmptyFolder", "%s has no .jpg, .jpeg or .png file; add images, or remove the folder", filepath.Join(root, class))
		}
		label, ok := number[class]
		if !ok {
			return nil, contract.UserErrorf("ClassesDiffer", "%s is a class that %s does not have; add it there, or remove the folder", filepath.Join(root, class), filepath.Join(dir, "train"))
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
	if err := s.decodeAll(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// splitFolder is the folder of a split and its class folders.
func splitFolder(dir string, classes []string, o Options) (string, []string, error) {
	if o.Split == Train {
		return filepath.Join(dir, "train"), classes, nil
	}
	root := filepath.Join(dir, "test")
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Join(dir, "val")); !errors.Is(err, os.ErrNotExist) {
			root = filepath.Join(dir, "val")
		}
	}
	found, err := subfolders(root, o.Field)
	return root, found, err
}

// openImages reads the image files of one folder, without labels.
func openImages(ctx context.Context, dir string, limit int, o Options) (*Set, error) {
	if o.Split == Test {
		return nil, contract.UserErrorf("NoLabels", "%s.format Images has no test split; set spec.evaluation.dataset to a labelled dataset, or leave linearEvaluation, finetuning and knn out", o.Field)
	}
	files, err := imageFiles(dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, contract.UserErrorf("EmptyFolder", "%s has no .jpg, .jpeg or .png file; add images, or, if they are in train/<class>/, set %s.format to ImageFolder", dir, o.Field)
	}
	keep, err := firstOfEach(noLabels(len(files)), 0, limit, o.Field)
	if err != nil {
		return nil, err
	}
	s := &Set{files: files[:len(keep)], labels: noLabels(len(keep))}
	if err := s.decodeAll(ctx, o); err != nil {
		return nil, err
	}
	return s, nil
}

// subfolders of dir, sorted; hidden ones (lost+found of a new volume, too) are not classes.
func subfolders(dir, field string) ([]string, error) {
	if err := checkDir(dir, field+".format ImageFolder"); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, missing(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || e.Name() == "lost+found" {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // follows links
		if accessError(err) != nil {
			return nil, accessError(err) // or an outage would make a class disappear
		}
		if err == nil && info.IsDir() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, contract.UserErrorf("EmptyFolder", "%s has no folder of a class; put images into %s, or set %s.format to Images", dir, filepath.Join(dir, "<class>"), field)
	}
	return names, nil
}

// imageFiles of dir by name's ending, sorted.
func imageFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, missing(err)
	}
	var files []string
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".jpg", ".jpeg", ".png":
			if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files, nil
}
