package checkpoint

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const manifestFile = "manifest.json"

// outputManifest says whose an output directory is.
type outputManifest struct {
	SchemaVersion int    `json:"schemaVersion"`
	Run           string `json:"run"`
	ConfigHash    string `json:"configHash"`
}

// OpenOutput takes an output directory for a run, or finds that it is this run's: only a run of the
// same config hash goes on in a directory. Another one's, or a directory with files of no run, is the
// user error OutputNotEmpty. Storage that fails has exit code 14.
func OpenOutput(dir, run, configHash string) error {
	doing := "opening the output directory " + dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return StorageError(err, doing)
	}
	path := filepath.Join(dir, manifestFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return takeOutput(dir, outputManifest{contract.Version, run, configHash})
	}
	if err != nil {
		return StorageError(err, doing)
	}
	var m outputManifest
	if err := json.Unmarshal(raw, &m); err != nil || m.ConfigHash == "" {
		return contract.UserErrorf("OutputNotEmpty", "output directory %s: %s is not a run's manifest; use an empty directory", dir, manifestFile)
	}
	if m.ConfigHash != configHash {
		return contract.UserErrorf("OutputNotEmpty",
			"output directory %s belongs to run %q with another configuration (hash %s, not %s); use an empty directory, or that configuration", dir, m.Run, m.ConfigHash, configHash)
	}
	return StorageError(clean(dir), doing)
}

func takeOutput(dir string, m outputManifest) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return StorageError(err, "reading the output directory "+dir)
	}
	for _, e := range entries {
		// a new ext4 volume has a lost+found
		if name := e.Name(); name != "lost+found" && !strings.HasPrefix(name, temporary) {
			return contract.UserErrorf("OutputNotEmpty", "output directory %s is not empty (%s) and no run's; use an empty directory", dir, name)
		}
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(filepath.Join(dir, manifestFile), append(raw, '\n'))
}
