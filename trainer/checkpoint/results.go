package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

func resultPath(outputDir, stage string) string {
	return filepath.Join(outputDir, "stages", stage, "result.json")
}

// SaveResult stores the message of a stage that is done, and merges the results.
func SaveResult(outputDir string, stages []string, m contract.TerminationMessage) error {
	raw, err := indented(m)
	if err != nil {
		return err
	}
	path := resultPath(outputDir, m.Stage)
	if err := CleanFiles(filepath.Dir(path), filepath.Base(path)); err != nil {
		return err
	}
	if err := WriteFile(path, raw); err != nil {
		return err
	}
	return MergeResults(outputDir, stages)
}

// MergeResults writes results.json, the results of all stages that are done in the order of stages, where
// it is not so already. Whoever finds a stage done calls it too: a crash between the stage's result and
// results.json leaves the latter as it was before.
func MergeResults(outputDir string, stages []string) error {
	var all v1alpha1.Results
	for _, stage := range stages {
		done, err := LoadResult(outputDir, stage)
		if err != nil {
			return err
		}
		if done != nil && done.Results != nil {
			all.Merge(*done.Results)
		}
	}
	raw, err := indented(all)
	if err != nil {
		return err
	}
	path := filepath.Join(outputDir, contract.ResultsFile)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, raw) {
		return nil
	}
	return WriteFile(path, raw)
}

// LoadResult is the message of a stage that is done, nil where it is not. A damaged file is as none: the
// stage then goes on from its last checkpoint and writes it again.
func LoadResult(outputDir, stage string) (*contract.TerminationMessage, error) {
	path := resultPath(outputDir, stage)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, StorageError(err, "reading "+path)
	}
	m := &contract.TerminationMessage{}
	if json.Unmarshal(raw, m) == nil && m.Stage == stage {
		return m, nil
	}
	return nil, nil
}

func indented(value any) ([]byte, error) {
	raw, err := json.MarshalIndent(value, "", "  ")
	return append(raw, '\n'), err
}
