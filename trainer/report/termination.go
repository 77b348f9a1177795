package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Termination is the message of a stage that ended with err, or is done where err is nil. Step,
// checkpoint and warnings are the tracker's.
func (t *Tracker) Termination(err error) contract.TerminationMessage {
	p := t.Progress()
	m := contract.TerminationMessage{
		SchemaVersion: contract.Version, Stage: p.Stage, Attempt: p.Attempt, ExitCode: int32(contract.ExitCode(err)),
		Step: p.Step, ResumedFrom: p.ResumedFrom, CheckpointStep: p.CheckpointStep, Warnings: p.Warnings,
	}
	if err != nil {
		m.Reason, m.Message = "Error", err.Error()
		if e, ok := errors.AsType[*contract.Error](err); ok {
			m.Reason = e.Reason
		}
	}
	return m
}

// WriteTermination writes the termination message, at most contract.MaxMessageBytes of JSON: warnings are
// shortened first and then go, before the message's end. The file is written in place: in a pod it is a mount of its own.
func WriteTermination(path string, m contract.TerminationMessage) error {
	raw, err := fit(m)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		return fmt.Errorf("writing the termination message: %w", err)
	}
	return nil
}

func fit(m contract.TerminationMessage) ([]byte, error) {
	for {
		raw, err := json.Marshal(m)
		over := len(raw) - contract.MaxMessageBytes
		switch {
		case err != nil || over <= 0:
			return raw, err
		case len(m.Warnings) > 0:
			m.Warnings = lessOf(m.Warnings, over)
		case m.Message != "":
			m.Message = lessBy(m.Message, over)
		default:
			return nil, fmt.Errorf("the termination message has %d bytes without its text: %d are allowed", len(raw), contract.MaxMessageBytes)
		}
	}
}

// leastWarning is how short a warning may get and still say something. Unit: bytes.
const leastWarning = 100

// lessOf warnings: the longest one is shortened; where all are short the last one goes.
func lessOf(warnings []string, over int) []string {
	longest := 0
	for i, w := range warnings {
		if len(w) > len(warnings[longest]) {
			longest = i
		}
	}
	if len(warnings[longest]) <= leastWarning {
		return warnings[:len(warnings)-1]
	}
	less := slices.Clone(warnings)
	less[longest] = lessBy(less[longest], min(over, 6*(len(less[longest])-leastWarning)))
	return less
}

// lessBy so many bytes of JSON or fewer: escapes make it up to 6 times as long as the text. At least one goes.
func lessBy(s string, over int) string { return shorten(s, max(0, len(s)-max(over/6, 1))) }

const ellipsis = "…"

// shorten to at most so many bytes of valid UTF-8, with an ellipsis where something is left out.
func shorten(s string, bytes int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= bytes {
		return s
	}
	end := bytes - len(ellipsis)
	if end <= 0 {
		return ""
	}
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + ellipsis
}
