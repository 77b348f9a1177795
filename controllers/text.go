package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds text of others that goes into the status, in bytes.
const maxText = 1024

// maxProgress bounds status.progress.
const maxProgress = 16

// clean makes text of others fit for a status and an event: valid UTF-8, one line, no control
// characters, at most limit bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	cut := limit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + ellipsis
}

// lastLines is the end of a log: a kubelet's fallback for a termination message.
func lastLines(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	lines = lines[max(0, len(lines)-3):]
	for i, line := range lines {
		lines[i] = readable(line)
	}
	return strings.Join(lines, " | ")
}

// saidElsewhere of a line of a trainer's log: what the status says beside it, or what stands before the rest.
var saidElsewhere = map[string]bool{"time": true, "level": true, "msg": true, "run": true, "stage": true, "attempt": true, "rank": true}

// readable is a line of a JSON log as a person would write it; other lines stay.
func readable(line string) string {
	var record map[string]any
	if err := json.Unmarshal([]byte(line), &record); err != nil || record["msg"] == nil {
		return line
	}
	var words []string
	if level := record["level"]; level != nil && level != "INFO" {
		words = append(words, fmt.Sprint(level))
	}
	words = append(words, fmt.Sprint(record["msg"]))
	for _, key := range slices.Sorted(maps.Keys(record)) {
		if saidElsewhere[key] {
			continue
		}
		if number, ok := record[key].(float64); ok {
			words = append(words, fmt.Sprintf("%s=%.6g", key, number))
		} else {
			words = append(words, fmt.Sprintf("%s=%v", key, record[key]))
		}
	}
	return strings.Join(words, " ")
}
