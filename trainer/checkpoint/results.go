package checkpoint

import (
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

// SaveResult stores the message of a stage that is done, then writes results.json, the results of all
// of the run's stages that are done, merged in the order of stages.
func SaveResult(outputDir string, stages []string, m contract.TerminationMessage) error {
	if err := writeJSON(resultPath(outputDir, m.Stage), m); err != nil {
		return err
	}
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
	return writeJSON(filepath.Join(outputDir, contract.ResultsFile), all)
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
	if err := json.Unmarshal(raw, m); err != nil || m.Stage != stage {
		return nil, nil
	}
	return m, nil
}

func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(raw, '\n'))
}
