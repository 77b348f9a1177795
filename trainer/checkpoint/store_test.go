package checkpoint

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

var here = Environment{Threads: 2, ISA: "AVX512", Libraries: map[string]string{"onednn": "2.6.3"}}

func options(attempt int32) Options {
	return Options{Attempt: attempt, Keep: 2, ConfigHash: "abc", Environment: here}
}

func state(step int64) State {
	return State{
		Step: step, Epoch: int32(step / 10), Batch: step % 10,
		Extra: json.RawMessage(`{"loss":5.25}`),
		Tensors: []safetensors.Tensor{
			{Name: "conv1.weight", Shape: []int{2, 3}, Data: []float32{1, 2, 3, 4, 5, float32(step)}},
			{Name: "momentum:conv1.weight", Shape: []int{1}, Data: []float32{-float32(step)}},
		},
	}
}

func open(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, "pretrain", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func save(t *testing.T, s *Store, steps ...int64) {
	t.Helper()
	for _, step := range steps {
		if err := s.Save(state(step)); err != nil {
			t.Fatal(err)
		}
	}
}

// expect that a store goes on from a step (−1: from nothing), with warnings that contain these.
func expect(t *testing.T, s *Store, step int64, warnings ...string) {
	t.Helper()
	st, got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	var want *State
	if step >= 0 {
		w := state(step)
		want = &w
	}
	if d := cmp.Diff(want, st); d != "" {
		t.Error(d)
	}
	if len(got) != len(warnings) {
		t.Fatalf("warnings %q, want %q", got, warnings)
	}
	for i, w := range warnings {
		if !strings.Contains(got[i], w) {
			t.Errorf("warning %q does not contain %q", got[i], w)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options(1))
	expect(t, s, -1)
	save(t, s, 1, 12, 123)
	expect(t, s, 123)
	expect(t, open(t, dir, options(2)), 123)
	want := []string{"attempt", "latest", "step-000000012", "step-000000123"}
	if d := cmp.Diff(want, names(t, s.dir)); d != "" {
		t.Errorf("the newest two should be kept: %s", d)
	}
	if d := cmp.Diff([]string{"manifest.json", "state.safetensors"}, names(t, s.Path(123))); d != "" {
		t.Error(d)
	}
}

func TestSavingAStepAgainKeepsIt(t *testing.T) {
	s := open(t, t.TempDir(), options(1))
	save(t, s, 5, 5)
	expect(t, s, 5)
}

func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(raw), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedOnesAreSkipped(t *testing.T) {
	for name, tc := range map[string]struct {
		file    string
		change  func([]byte) []byte
		warning string
	}{
		"truncated state":    {stateFile, func(b []byte) []byte { return b[:len(b)-3] }, "state.safetensors is damaged"},
		"a flipped bit":      {stateFile, func(b []byte) []byte { b[len(b)-2] ^= 1; return b }, "state.safetensors is damaged"},
		"an empty state":     {stateFile, func([]byte) []byte { return nil }, "state.safetensors is damaged"},
		"truncated manifest": {manifestFile, func(b []byte) []byte { return b[:len(b)/2] }, "manifest.json is damaged"},
		"another batch index": {manifestFile, func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"batch":0`, `"batch":1`, 1))
		}, "manifest.json is damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, options(1))
			save(t, s, 10, 20)
			damage(t, filepath.Join(s.Path(20), tc.file), tc.change)
			s = open(t, dir, options(2))
			expect(t, s, 10, "step 20 was skipped: "+tc.warning, "does not name")
			// going on from 10 and saving 15 leaves no damaged one that a later load would stumble over
			save(t, s, 15)
			expect(t, s, 15)
			if d := cmp.Diff([]string{"attempt", "latest", "step-000000010", "step-000000015"}, names(t, s.dir)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestADamagedOneIsReplaced(t *testing.T) {
	s := open(t, t.TempDir(), options(1))
	save(t, s, 10)
	damage(t, filepath.Join(s.Path(10), stateFile), func(b []byte) []byte { return b[1:] })
	save(t, s, 10)
	expect(t, s, 10)
}

func TestAllDamagedStartsAnew(t *testing.T) {
	s := open(t, t.TempDir(), options(1))
	save(t, s, 10)
	damage(t, filepath.Join(s.Path(10), stateFile), func(b []byte) []byte { return b[1:] })
	expect(t, s, -1, "step 10 was skipped")
}

func TestHalfOfADirectoryIsSkipped(t *testing.T) {
	s := open(t, t.TempDir(), options(1))
	save(t, s, 10, 20)
	for _, file := range []string{manifestFile, stateFile} {
		if err := os.Remove(filepath.Join(s.Path(20), file)); err != nil {
			t.Fatal(err)
		}
		expect(t, s, 10, "step 20 was skipped", "does not name")
	}
}

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options(1))
	save(t, s, 10)
	// the moment before the rename, and the moment before a removal's end
	for from, to := range map[string]string{"a": temporary + "step-7", "b": temporary + "removed-step-000000001"} {
		left := filepath.Join(s.dir, to)
		if err := os.Mkdir(left, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, from), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s = open(t, dir, options(2))
	expect(t, s, 10)
	if d := cmp.Diff([]string{"attempt", "latest", "step-000000010"}, names(t, s.dir)); d != "" {
		t.Error(d)
	}
}

func TestDamagedPointerIsIgnored(t *testing.T) {
	s := open(t, t.TempDir(), options(1))
	save(t, s, 10, 20)
	for name, content := range map[string]string{"nonsense": "\x00\x00", "an older one": "step-000000010\n", "one that is not there": "step-000000030\n"} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(s.dir, latestFile), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
			expect(t, s, 20, "does not name")
		})
	}
	if err := os.Remove(filepath.Join(s.dir, latestFile)); err != nil {
		t.Fatal(err)
	}
	expect(t, s, 20, "does not name")
}

func TestAnOlderAttemptIsRefused(t *testing.T) {
	dir := t.TempDir()
	old := open(t, dir, options(1))
	save(t, old, 10)
	fresh := open(t, dir, options(2))
	refused := func(name string, err error) {
		t.Helper()
		var e *contract.Error
		if !errors.As(err, &e) || e.Code != contract.ExitStorage || e.Reason != "StaleAttempt" {
			t.Errorf("%s: %v, want StaleAttempt", name, err)
		}
	}
	refused("Save", old.Save(state(20)))
	refused("Fence", old.Fence())
	if err := fresh.Fence(); err != nil {
		t.Error(err)
	}
	_, err := Open(dir, "pretrain", options(1))
	refused("Open", err)
	expect(t, fresh, 10)
	save(t, fresh, 20)
	// a pod that is made again within an attempt goes on, and the one before may not write any more
	again := open(t, dir, options(2))
	save(t, again, 30)
	refused("Save by the pod before", fresh.Save(state(40)))
	refused("Fence of the pod before", fresh.Fence())
	expect(t, again, 30)
	if n, err := LastAttempt(dir, "pretrain"); n != 2 || err != nil {
		t.Errorf("the last attempt is %d, %v", n, err)
	}
	if n, err := LastAttempt(dir, "linear-eval"); n != 0 || err != nil {
		t.Errorf("the last attempt of a stage that never was is %d, %v", n, err)
	}
	damage(t, filepath.Join(fresh.dir, attemptFile), func([]byte) []byte { return []byte("x") })
	expect(t, open(t, dir, options(3)), 30)
}

func TestAnotherEnvironmentIsNotExact(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Environment)
		want   string
	}{
		"threads":   {func(e *Environment) { e.Threads = 4 }, "2 threads, now 4"},
		"ISA":       {func(e *Environment) { e.ISA = "AVX2" }, "AVX512, now AVX2"},
		"libraries": {func(e *Environment) { e.Libraries = map[string]string{"onednn": "3.0"} }, "onednn:2.6.3"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, open(t, dir, options(1)), 10)
			o := options(2)
			tc.change(&o.Environment)
			s := open(t, dir, o)
			expect(t, s, 10, tc.want)
			if _, w, _ := s.Load(); !strings.Contains(w[0], "equal to rounding only") {
				t.Errorf("the warning is %q", w[0])
			}
		})
	}
}

func TestAnotherConfigurationIsSkipped(t *testing.T) {
	dir := t.TempDir()
	save(t, open(t, dir, options(1)), 10)
	o := options(2)
	o.ConfigHash = "other"
	expect(t, open(t, dir, o), -1, "another configuration")
}
