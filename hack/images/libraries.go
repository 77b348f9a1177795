package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// libraryFiles are the shared libraries that a program needs, directly and through others, its interpreter, and the
// licences of the Debian packages that they are from.
func libraryFiles(program string) (files, error) {
	interpreter, err := interpreterOf(program)
	if err != nil {
		return nil, err
	}
	all, err := librariesOf([]string{program}, map[string]bool{filepath.Base(interpreter): true})
	if err != nil {
		return nil, err
	}
	return all, all.addLibrary(interpreter, interpreter)
}

// librariesOf are the shared libraries that programs or libraries need, directly and through others, but for those that
// have been seen, and their licences.
func librariesOf(queue []string, seen map[string]bool) (files, error) {
	cache, err := linkerCache()
	if err != nil {
		return nil, err
	}
	all := files{}
	for len(queue) > 0 {
		needed, err := neededBy(queue[0])
		if err != nil {
			return nil, err
		}
		queue = queue[1:]
		for _, soname := range needed {
			if seen[soname] {
				continue
			}
			seen[soname] = true
			path, ok := cache[soname]
			if !ok {
				return nil, fmt.Errorf("the shared library %s is not on this machine (make deps)", soname)
			}
			// the dynamic linker looks there without a cache
			if err := all.addLibrary("/lib/x86_64-linux-gnu/"+soname, path); err != nil {
				return nil, err
			}
			queue = append(queue, path)
		}
	}
	return all, nil
}

func (f files) addLibrary(as, path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	f[as] = file{from: target, mode: 0o755}
	licence, err := licenceOf(path, target)
	if err != nil {
		return err
	}
	f[licence] = file{from: licence, mode: 0o644}
	return nil
}

// licenceOf is the copyright file of the Debian package that owns one of the paths; dpkg knows a merged /usr's files by
// their names before the merge.
func licenceOf(paths ...string) (string, error) {
	for _, path := range paths {
		for _, name := range []string{path, strings.TrimPrefix(path, "/usr")} {
			out, err := exec.Command("dpkg-query", "--search", name).Output()
			if err != nil {
				continue
			}
			pkg, _, _ := strings.Cut(string(out), ":")
			licence := "/usr/share/doc/" + pkg + "/copyright"
			if _, err := os.Stat(licence); err == nil {
				return licence, nil
			}
		}
	}
	return "", fmt.Errorf("no Debian package owns %s: its licence is unknown", paths[0])
}

func interpreterOf(program string) (string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			data := make([]byte, p.Filesz)
			_, err := p.ReadAt(data, 0)
			return strings.TrimRight(string(data), "\x00"), err
		}
	}
	return "", fmt.Errorf("%s is not dynamically linked", program)
}

func neededBy(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.ImportedLibraries()
}

// linkerCache maps sonames to paths as the dynamic linker of this machine would; the first of a name wins.
func linkerCache() (map[string]string, error) {
	out, err := exec.Command("/sbin/ldconfig", "-p").Output()
	if err != nil {
		return nil, err
	}
	cache := map[string]string{}
	for line := range strings.SplitSeq(string(out), "\n") {
		name, path, ok := strings.Cut(line, " => ")
		if !ok || !strings.Contains(name, "x86-64") {
			continue
		}
		soname := strings.Fields(name)[0]
		if _, ok := cache[soname]; !ok {
			cache[soname] = path
		}
	}
	return cache, nil
}
