package main

import (
	"testing"
	"testing/fstest"
)

func TestSecondsOf(t *testing.T) {
	stat := func(pid, name, parent, user, system string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(pid + " (" + name + ") S " + parent + " 1 1 0 -1 4194560 1 0 0 0 " + user + " " + system + " 0 0 20 0 9 0 1 2 3")}
	}
	proc := fstest.MapFS{
		"7/stat":     stat("7", "bench", "1", "100", "50"),
		"8/stat":     stat("8", "a) b (c", "7", "200", "0"), // a child, of an awkward name
		"9/stat":     stat("9", "grandchild", "8", "1000", "0"),
		"77/stat":    stat("77", "other", "1", "4000", "0"),
		"10/stat":    {Data: []byte("10 (short) S 7")},
		"self/stat":  stat("7", "bench", "7", "100", "50"),
		"7/task/x":   {},
		"11/cmdline": {},
	}
	if got := secondsOf(proc, "7"); got != 3.5 {
		t.Errorf("%g s, want 3.5: the process and its child", got)
	}
	if got := secondsOf(proc, "12"); got != 0 {
		t.Errorf("%g s of a process that is not there", got)
	}
}
