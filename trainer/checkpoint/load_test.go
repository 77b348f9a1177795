package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// unreadable makes a file one that cannot be read for a while, by a link that leads to itself (ELOOP), as
// root could read all others.
func unreadable(t *testing.T, path string) (mend func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(path, path+".aside"))
	must(os.Symlink(filepath.Base(path), path))
	return func() {
		t.Helper()
		must(os.Remove(path))
		must(os.Rename(path+".aside", path))
	}
}

// A file that cannot be read now is not a damaged one: a training that began anew would remove it.
func TestAReadErrorEndsLoad(t *testing.T) {
	for _, file := range []string{manifestFile, stateFile} {
		t.Run(file, func(t *testing.T) {
			s := open(t, t.TempDir(), options(1))
			save(t, s, 10, 20)
			mend := unreadable(t, filepath.Join(s.Path(20), file))
			st, _, err := s.Load()
			if st != nil {
				t.Error("it goes on from an older checkpoint")
			}
			wantStorage(t, err, "StorageFailed")
			wantStorage(t, s.Save(state(20)), "StorageFailed")
			save(t, s, 15)
			mend()
			expect(t, s, 20, "does not name")
		})
	}
}

// reseal changes a checkpoint's manifest and gives it the right checksum.
func reseal(t *testing.T, s *Store, step int64, from, to string) {
	t.Helper()
	damage(t, filepath.Join(s.Path(step), manifestFile), func(raw []byte) []byte {
		var outer sealed
		if err := json.Unmarshal(raw, &outer); err != nil {
			t.Fatal(err)
		}
		outer.Manifest = []byte(strings.Replace(string(outer.Manifest), from, to, 1))
		sum := sha256.Sum256(outer.Manifest)
		outer.SHA256 = hex.EncodeToString(sum[:])
		raw, err := json.Marshal(outer)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	})
}

func TestACheckpointOfAnotherVersionIsTheUsersToMend(t *testing.T) {
	for name, to := range map[string]string{
		"a later version":                `"schemaVersion":2`,
		"whose fields have other types":  `"schemaVersion":2,"step":"ten"`,
		"one before there were versions": `"schema":1`,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), options(1))
			save(t, s, 10, 20)
			reseal(t, s, 20, `"schemaVersion":1`, to)
			_, _, err := s.Load()
			var e *contract.Error
			if !errors.As(err, &e) || e.Code != contract.ExitUserError || !strings.Contains(err.Error(), "template.image") || !strings.Contains(err.Error(), s.Path(20)) {
				t.Errorf("got %v, want a user error that names the checkpoint and template.image", err)
			}
		})
	}
}

// Saving an earlier step removes later checkpoints only where they are damaged.
func TestPruneLeavesLaterOnesThatAreWhole(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, options(1))
	save(t, s, 10, 20)
	o := options(2)
	o.ConfigHash = "other"
	other := open(t, dir, o)
	save(t, other, 5)
	want := []string{"attempt", "latest", "step-000000005", "step-000000010", "step-000000020"}
	if d := cmp.Diff(want, names(t, s.dir)); d != "" {
		t.Error(d)
	}
}
