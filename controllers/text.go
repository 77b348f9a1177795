package controllers

import (
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
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}
