package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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
	var outer sealed
	if err := json.Unmarshal(whole[0], &outer); err != nil {
		f.Fatal(err)
	}
	open := bytes.ReplaceAll(outer.Manifest, []byte(sum(whole[1])), sumOfState)
	f.Add(whole[0], whole[1], false)
	f.Add(whole[0][:len(whole[0])/2], whole[1], false)
	f.Add(whole[0], whole[1][:len(whole[1])/2], false)
	f.Add([]byte(`{"manifest":{},"sha256":""}`), []byte{}, false)
	f.Add(open, whole[1], true)
	f.Fuzz(func(t *testing.T, manifest, state []byte, seal bool) {
		if seal { // somebody made it, with the right sums
			body := bytes.ReplaceAll(manifest, sumOfState, []byte(sum(state)))
			if !json.Valid(body) {
				return
			}
			manifest = fmt.Appendf(nil, `{"manifest":%s,"sha256":%q}`, body, sum(bytes.TrimSpace(body)))
		}
		for file, data := range map[string][]byte{manifestFile: manifest, stateFile: state} {
			if err := os.WriteFile(filepath.Join(s.Path(10), file), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, warnings, err := s.Load()
		if err == nil && got == nil && len(warnings) == 0 {
			t.Error("it was skipped, and nobody is told")
		}
		if got != nil && (got.Step != 10 || !seal && !bytes.Equal(state, whole[1])) {
			t.Errorf("it goes on from step %d", got.Step)
		}
	})
}

// sumOfState stands for it in a manifest that is sealed after it was changed.
var sumOfState = []byte("SUM-OF-STATE")

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}
