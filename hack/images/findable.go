package main

import (
	"debug/elf"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// findable is an error where the dynamic linker would not find a library of an image's: neither where what needs it says that its
// libraries are, nor, of the many that a plugin opens at run time, where the plugin says so. files are by their places in the image.
func findable(all files, plugin string) error {
	opened, err := searched(all[plugin].from, plugin)
	if err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(all)) {
		if !isELF(all[p].from) {
			continue
		}
		if dir := path.Dir(p); p != plugin && strings.Contains(path.Base(p), ".so") && !slices.Contains(opened.dirs, dir) {
			return fmt.Errorf("%s: the plugin %s, which opens it, looks for it in %s", p, plugin, strings.Join(opened.dirs, ", "))
		}
		from, err := searched(all[p].from, p)
		if err != nil {
			return err
		}
		if !from.alone {
			from.dirs = append(from.dirs, opened.dirs...)
		}
		if err := from.find(all, p); err != nil {
			return err
		}
	}
	return nil
}

// search is how the dynamic linker looks for what a file needs (ld.so(8)).
type search struct {
	needed []string
	dirs   []string
	alone  bool // a RUNPATH's directories alone; a RPATH's are those of what opened the file, too
}

func searched(file, place string) (s search, err error) {
	f, err := elf.Open(file)
	if err != nil {
		return s, fmt.Errorf("%s: %w", place, err)
	}
	defer f.Close()
	if s.needed, err = f.ImportedLibraries(); err != nil {
		return s, fmt.Errorf("%s: %w", place, err)
	}
	paths, err := f.DynString(elf.DT_RUNPATH)
	if err != nil {
		return s, fmt.Errorf("%s: %w", place, err)
	}
	if s.alone = len(paths) > 0; !s.alone {
		if paths, err = f.DynString(elf.DT_RPATH); err != nil {
			return s, fmt.Errorf("%s: %w", place, err)
		}
	}
	for _, list := range paths {
		for dir := range strings.SplitSeq(list, ":") {
			dir = strings.NewReplacer("$ORIGIN", path.Dir(place), "${ORIGIN}", path.Dir(place)).Replace(dir)
			if dir = path.Clean(dir); !slices.Contains(s.dirs, dir) {
				s.dirs = append(s.dirs, dir)
			}
		}
	}
	return s, nil
}

// find is an error where a library that is needed is among all, and not where it is looked for. What is not among them is the
// system's, in a directory where it is always looked for.
func (s search) find(all files, by string) error {
	for _, name := range s.needed {
		places := slices.DeleteFunc(slices.Sorted(maps.Keys(all)), func(p string) bool { return path.Base(p) != name })
		if len(places) == 0 || slices.ContainsFunc(places, func(p string) bool { return slices.Contains(s.dirs, path.Dir(p)) }) {
			continue
		}
		return fmt.Errorf("%s needs %s and looks for it in [%s], but it is %s", by, name, strings.Join(s.dirs, ", "), places[0])
	}
	return nil
}
