package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// library of C, at a path below a directory, that looks for others in runpath.
func library(t *testing.T, dir, name, runpath string, needs ...string) {
	t.Helper()
	to := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "empty.c")
	if err := os.WriteFile(source, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-shared", "-o", to, source, "-Wl,-soname," + filepath.Base(name), "-Wl,--no-as-needed", "-Wl,--unresolved-symbols=ignore-all"}
	if runpath != "" {
		args = append(args, "-Wl,-rpath,"+runpath)
	}
	for _, n := range needs {
		args = append(args, filepath.Join(dir, n))
	}
	if out, err := exec.CommandContext(t.Context(), "gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func TestFindable(t *testing.T) {
	for name, tc := range map[string]struct {
		plugin, first string // where they look
		want          string
	}{
		"where both say":                    {plugin: "$ORIGIN/../lib", first: "$ORIGIN"},
		"where the plugin does not look":    {plugin: "$ORIGIN/../other", first: "$ORIGIN", want: "/p/lib/libfirst.so.1: the plugin /p/plugin/plugin.so, which opens it, looks for it in /p/other"},
		"where what needs it does not look": {plugin: "$ORIGIN/../lib", first: "$ORIGIN/none", want: "/p/lib/libfirst.so.1 needs libsecond.so.2 and looks for it in [/p/lib/none], but it is /p/lib/libsecond.so.2"},
		"where only what opened it looks":   {plugin: "$ORIGIN/../lib"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			library(t, dir, "lib/libsecond.so.2", "")
			library(t, dir, "lib/libfirst.so.1", tc.first, "lib/libsecond.so.2")
			library(t, dir, "plugin/plugin.so", tc.plugin)
			all := files{"/p/notices": {from: os.DevNull}}
			for _, name := range []string{"lib/libsecond.so.2", "lib/libfirst.so.1", "plugin/plugin.so"} {
				all["/p/"+name] = file{from: filepath.Join(dir, name)}
			}
			err := findable(all, "/p/plugin/plugin.so")
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}
