package main

import (
	"os"
	"syscall"
)

// waitPolicy is OpenMP's, which libgomp reads before main begins.
const waitPolicy = "OMP_WAIT_POLICY"

// waitAsleep starts this program again in its own place, so that compute threads that wait for each other sleep instead
// of spinning. A spinning thread keeps the one that it waits for from running wherever cores are shared: by the loader's
// threads, by other pods, or by a CPU limit. A user's own OMP_WAIT_POLICY stays.
func waitAsleep() {
	if os.Getenv(waitPolicy) != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return // slower where cores are shared, and right all the same
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), waitPolicy+"=passive"))
}
