package checkpoint

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A checkpoint that somebody damaged, or made, is skipped or refused, and never gone on from unless it is whole.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	s, err := Open(dir, "pretrain", options(1))
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Save(state(10)); err != nil {
		f.Fatal(err)
	}
	var whole [2][]byte
	for i, file := range []string{manifestFile, stateFile} {
		if whole[i], err = os.ReadFile(filepath.Join(s.Path(10), file)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(whole[0], whole[1])
	f.Add(whole[0][:len(whole[0])/2], whole[1])
	f.Add(whole[0], whole[1][:len(whole[1])/2])
	f.Add([]byte(`{"manifest":{},"sha256":""}`), []byte{})
	f.Fuzz(func(t *testing.T, manifest, state []byte) {
		for file, data := range map[string][]byte{manifestFile: manifest, stateFile: state} {
			if err := os.WriteFile(filepath.Join(s.Path(10), file), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, warnings, err := s.Load()
		if err == nil && got == nil && len(warnings) == 0 {
			t.Error("it was skipped, and nobody is told")
		}
		if got != nil && (got.Step != 10 || !bytes.Equal(state, whole[1])) {
			t.Errorf("it goes on from step %d", got.Step)
		}
	})
}
