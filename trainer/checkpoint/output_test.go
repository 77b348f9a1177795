package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func TestOpenOutput(t *testing.T) {
	file := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	opened := func(hash string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := OpenOutput(dir, "other", hash); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		before  func(*testing.T, string)
		refused bool
	}{
		"empty":                         {before: func(*testing.T, string) {}},
		"missing":                       {before: func(_ *testing.T, dir string) { _ = os.Remove(dir) }},
		"a new volume":                  {before: file("lost+found", "")},
		"what a crash left":             {before: file(temporary+"manifest.json-1", "")},
		"the same configuration":        {before: opened("abc")},
		"another configuration":         {before: opened("def"), refused: true},
		"files of no run":               {before: file("thesis.doc", ""), refused: true},
		"a manifest that is none":       {before: file(manifestFile, "{}"), refused: true},
		"a manifest that is not JSON":   {before: file(manifestFile, "#"), refused: true},
		"its own results after a crash": {before: func(t *testing.T, dir string) { opened("abc")(t, dir); file("results.json", "")(t, dir) }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tc.before(t, dir)
			err := OpenOutput(dir, "run", "abc")
			var e *contract.Error
			if refused := errors.As(err, &e) && e.Code == contract.ExitUserError && e.Reason == "OutputNotEmpty"; refused != tc.refused || (err != nil) != tc.refused {
				t.Errorf("got %v, refused should be %v", err, tc.refused)
			}
		})
	}
	wantStorage(t, OpenOutput("/proc/none/there", "run", "abc"), "StorageFailed")
}

func TestResults(t *testing.T) {
	dir := t.TempDir()
	stages := []string{"pretrain", "linear-eval", "one-percent"}
	if m, err := LoadResult(dir, "pretrain"); m != nil || err != nil {
		t.Errorf("before: %v, %v", m, err)
	}
	done := []contract.TerminationMessage{
		{SchemaVersion: 1, Stage: "one-percent", Results: &v1alpha1.Results{Finetune: []v1alpha1.FinetuneResult{{Name: "one-percent", Top1: "30.10", Labels: 500}}}},
		{SchemaVersion: 1, Stage: "pretrain", EncoderSHA256: "ab", Step: 390, Results: &v1alpha1.Results{KNNTop1: "40.10", PretrainingLoss: "5.25"}},
	}
	for _, m := range done {
		if err := SaveResult(dir, stages, m); err != nil {
			t.Fatal(err)
		}
		got, err := LoadResult(dir, m.Stage)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&m, got); d != "" {
			t.Error(d)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, contract.ResultsFile))
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "knnTop1": "40.10",
  "pretrainingLoss": "5.25",
  "finetune": [
    {
      "name": "one-percent",
      "top1": "30.10",
      "labels": 500
    }
  ]
}
`
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Error(d)
	}
	left := filepath.Join(dir, "stages", "pretrain", temporary+"result.json-123")
	if err := os.WriteFile(left, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := SaveResult(dir, stages, done[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("what a crash left is still there")
	}
	// a crash before results.json was written again, in two ways; and where nothing is to do nothing is written
	path := filepath.Join(dir, contract.ResultsFile)
	for name, change := range map[string]func() error{
		"stale":   func() error { return os.WriteFile(path, []byte("{}"), 0o644) },
		"missing": func() error { return os.Remove(path) },
		"right":   func() error { return os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := MergeResults(dir, stages); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(path)
		if d := cmp.Diff(want, string(raw)); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
		if info, err := os.Stat(path); err != nil || info.ModTime().Equal(time.Unix(1, 0)) != (name == "right") {
			t.Errorf("%s: written again: %v %v", name, info.ModTime(), err)
		}
	}
	damage(t, resultPath(dir, "pretrain"), func(b []byte) []byte { return b[:10] })
	if m, err := LoadResult(dir, "pretrain"); m != nil || err != nil {
		t.Errorf("a damaged result should be as none: %v, %v", m, err)
	}
}
