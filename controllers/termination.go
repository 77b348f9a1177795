package controllers

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

var (
	percentPattern = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,4})?$`)
	sha256Pattern  = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// parseTermination reads a stage's termination message. It comes from an image that need not be ours:
// nothing in it is believed that does not fit the stage and the exit code that the kubelet saw.
// The attempt is not compared: a stage that finds its result stored says again what an older one said.
func parseTermination(raw, stage string, exit int32) (*contract.TerminationMessage, error) {
	if len(raw) == 0 {
		return nil, errors.New("the termination message is empty")
	}
	if len(raw) > contract.MaxMessageBytes {
		return nil, fmt.Errorf("the termination message has %d bytes, at most %d are read", len(raw), contract.MaxMessageBytes)
	}
	var m contract.TerminationMessage
	if err := json.Unmarshal([]byte(raw), &m); err != nil {
		return nil, errors.New("the termination message is not the contract's JSON")
	}
	switch {
	case m.SchemaVersion != contract.Version:
		return nil, fmt.Errorf("the termination message has schemaVersion %d, not %d", m.SchemaVersion, contract.Version)
	case m.Stage != stage:
		return nil, fmt.Errorf("the termination message is of stage %q", clean(m.Stage, 64))
	case m.ExitCode != exit:
		return nil, fmt.Errorf("the termination message says exit code %d", m.ExitCode)
	case m.Step < 0 || m.CheckpointStep < 0:
		return nil, errors.New("the termination message has a negative step")
	case m.EncoderSHA256 != "" && !sha256Pattern.MatchString(m.EncoderSHA256):
		return nil, errors.New("encoderSHA256 is not a SHA-256")
	}
	if err := checkResults(m.Results, stage); err != nil {
		return nil, err
	}
	m.Reason, m.Message = clean(m.Reason, 64), clean(m.Message, maxText)
	m.Warnings = cleanWarnings(m.Warnings)
	return &m, nil
}

func checkResults(r *v1alpha1.Results, stage string) error {
	if r == nil {
		return nil
	}
	percents := map[string]string{
		"knnTop1": r.KNNTop1, "linearTop1": r.LinearTop1, "linearTop5": r.LinearTop5,
	}
	for _, f := range r.Finetune {
		if f.Name != stage {
			return fmt.Errorf("results are of stage %q", clean(f.Name, 64))
		}
		percents["finetune top1"], percents["finetune top5"] = f.Top1, f.Top5
	}
	if len(r.Finetune) > 1 {
		return errors.New("results have more than one finetune entry")
	}
	for name, value := range percents {
		if !validPercent(value) {
			return fmt.Errorf("%s %q is not a percentage", name, clean(value, 32))
		}
	}
	if r.PretrainingLoss != "" {
		if _, err := strconv.ParseFloat(r.PretrainingLoss, 64); err != nil || len(r.PretrainingLoss) > 32 {
			return fmt.Errorf("pretrainingLoss %q is not a number", clean(r.PretrainingLoss, 32))
		}
	}
	if r.SkippedImages < 0 {
		return errors.New("skippedImages is negative")
	}
	return nil
}

func validPercent(value string) bool {
	if value == "" {
		return true
	}
	v, err := strconv.ParseFloat(value, 64)
	return err == nil && percentPattern.MatchString(value) && v <= 100
}

func cleanWarnings(warnings []string) []string {
	var cleaned []string
	for _, w := range warnings[:min(len(warnings), contract.MaxWarnings)] {
		cleaned = append(cleaned, clean(w, contract.MaxWarningBytes))
	}
	return cleaned
}
