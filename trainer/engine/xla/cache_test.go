package xla

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/engine/xla/emit"
	"github.com/simclr-operator/simclr-operator/trainer/model"
)

// A program is compiled once: the next engine takes it from the directory, on one device or two, and computes the same bits.
// What is damaged, or of another compiler, is compiled again.
func TestProgramsAreKept(t *testing.T) {
	for name, devices := range map[string]int{"one device": 1, "two devices": 2} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "compiled")
			step := func() (served bool, got outcome) {
				var log strings.Builder
				e := newEngine(t, devices, false)
				e.options.Cache, e.options.Log = dir, slog.New(slog.NewTextHandler(&log, nil))
				got = atOnce(t, e, small(), 8, lars)
				return strings.Contains(log.String(), "kept=true"), got
			}
			served, want := step()
			if served {
				t.Error("taken from an empty directory")
			}
			served, got := step()
			if d := cmp.Diff(want, got); d != "" || !served {
				t.Errorf("taken from the directory: %v (-compiled +kept):\n%s", served, d)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) != 1 {
				t.Fatalf("%d files: %v", len(files), err)
			}
			raw, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			for name, damaged := range map[string][]byte{"a bit": append(raw[:len(raw)-1:len(raw)-1], raw[len(raw)-1]^1), "its end": raw[:len(raw)/2], "all": {}} {
				if err := os.WriteFile(files[0], damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				if served, got := step(); served || cmp.Diff(want, got) != "" {
					t.Errorf("without %s: taken from the directory: %v", name, served)
				}
				if now, err := os.ReadFile(files[0]); err != nil || len(now) < len(raw)/2 {
					t.Errorf("without %s: it is not kept again: %d bytes, %v", name, len(now), err)
				}
			}
		})
	}
}

// An executable whose bytes are whole but that the plugin cannot load is compiled again.
func TestProgramsOfAnotherCompilerAreCompiled(t *testing.T) {
	e := newEngine(t, 1, false)
	e.options.Cache = t.TempDir()
	p, err := model.NTXent(8, 4, temperature)
	if err != nil {
		t.Fatal(err)
	}
	compile := func() {
		x, err := e.New(p)
		if err != nil {
			t.Fatal(err)
		}
		closed(t, x)
	}
	compile()
	entries, err := os.ReadDir(e.options.Cache)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files: %v", len(entries), err)
	}
	if err := cache(e.options.Cache).write(entries[0].Name(), []byte("of another compiler")); err != nil {
		t.Fatal(err)
	}
	compile()
	if again := cache(e.options.Cache).read(entries[0].Name()); len(again) < 100 {
		t.Errorf("%d bytes are kept: it was not compiled again", len(again))
	}
}

// Keys differ where a compiled program would.
func TestKeys(t *testing.T) {
	one, two := newEngine(t, 1, false), newEngine(t, 2, false)
	p, err := model.NTXent(8, 4, temperature)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := emit.Programs(p, emit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	program := programs[0]
	key := one.key(program)
	if again := one.key(program); again != key {
		t.Error("a key is not the same the second time")
	}
	if two.key(program) == key {
		t.Error("other devices have the same key")
	}
	t.Setenv("XLA_FLAGS", "--xla_backend_optimization_level=1")
	if one.key(program) == key {
		t.Error("other options have the same key")
	}
}

// The oldest programs go where all take too much.
func TestTheOldestGo(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"a", "b", "c"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := cache(dir).trim(250); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if d := cmp.Diff([]string{"b", "c"}, left); d != "" || err != nil {
		t.Errorf("left (-want +got):\n%s%v", d, err)
	}
}

// A directory that cannot be written costs the next start a compilation, and nothing else.
func TestNothingIsKeptWhereNothingCanBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	e := newEngine(t, 1, false)
	e.options.Cache, e.options.Log = filepath.Join(file, "compiled"), slog.New(slog.NewTextHandler(&log, nil))
	p, err := model.NTXent(8, 4, temperature)
	if err != nil {
		t.Fatal(err)
	}
	x, err := e.New(p)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, x)
	if !strings.Contains(log.String(), "is not kept") {
		t.Errorf("log %q", log.String())
	}
}
