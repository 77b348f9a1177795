package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

const sample = "../../config/samples/training_v1alpha1_simclrrun.yaml"

// What is wrong before the stage begins is in its termination message too.
func TestStageLeavesAMessageOfWhatIsWrongBefore(t *testing.T) {
	for name, tc := range map[string]struct {
		file, variable, value string
		attempt               int32
		reason                string
	}{
		"the attempt is no number": {sample, contract.EnvAttempt, "first", 0, "InvalidEnvironment"},
		"the attempt is 0":         {sample, contract.EnvAttempt, "0", 0, "InvalidEnvironment"},
		"no threads":               {sample, contract.EnvThreads, "-1", 3, "InvalidEnvironment"},
		"no deadline":              {sample, contract.EnvDeadline, "soon", 3, "InvalidEnvironment"},
		"no file":                  {"none.yaml", contract.EnvThreads, "1", 3, "RunFileMissing"},
		// without a UID the output would be the claim itself
		"no UID": {sample, contract.EnvOutput, "", 3, "InvalidSpec"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "message")
			t.Setenv(contract.EnvTerminationPath, path)
			t.Setenv(contract.EnvOutput, t.TempDir())
			t.Setenv(contract.EnvAttempt, "3")
			t.Setenv(tc.variable, tc.value)
			if err := runStage(t.Context(), tc.file, "pretrain", "interp"); contract.ExitCode(err) != contract.ExitUserError {
				t.Errorf("got %v", err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var m contract.TerminationMessage
			if err := json.Unmarshal(raw, &m); err != nil {
				t.Fatal(err)
			}
			if m.Reason != tc.reason || m.Attempt != tc.attempt || m.Stage != "pretrain" || m.ExitCode != contract.ExitUserError {
				t.Errorf("message %s", raw)
			}
		})
	}
}

// An error that the log has is not printed once more: in a pod each line is JSON.
func TestStageTellsAnErrorOnce(t *testing.T) {
	output := t.TempDir()
	if err := os.WriteFile(filepath.Join(output, "thesis.doc"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		contract.EnvTerminationPath: filepath.Join(t.TempDir(), "message"), contract.EnvOutput: output,
		contract.EnvHTTPAddress: "127.0.0.1:0",
	} {
		t.Setenv(name, value)
	}
	err := runStage(t.Context(), sample, "pretrain", "interp")
	var told *toldError
	if !errors.As(err, &told) || contract.ExitCode(err) != contract.ExitUserError {
		t.Errorf("got %v", err)
	}
}
