package main

import "strings"

// outcomes counts the tests of `go test -v`, subtests for themselves, that passed and failed. One whose subtests count does not.
func outcomes(output string) (passed, failed int) {
	parents := map[string]bool{}
	results := map[string]string{}
	for line := range strings.Lines(output) {
		result, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		name, _, timed := strings.Cut(rest, " (")
		if !ok || !timed || result != "--- PASS" && result != "--- FAIL" {
			continue
		}
		results[name] = result
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			parents[name[:i]] = true
		}
	}
	for name, result := range results {
		switch {
		case parents[name]:
		case result == "--- PASS":
			passed++
		default:
			failed++
		}
	}
	return passed, failed
}

// firstFailure is the first line that a failed test wrote.
func firstFailure(output string) string {
	for line := range strings.Lines(output) {
		if text := strings.TrimSpace(line); strings.Contains(text, "_test.go:") || strings.HasPrefix(text, "panic:") {
			return text
		}
	}
	return lastLine(strings.TrimSpace(output))
}
