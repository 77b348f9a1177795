package main

import (
	"os"
	"syscall"
)

// libgomp reads these before main begins: how compute threads wait for each other.
const (
	waitPolicy = "OMP_WAIT_POLICY"
	spinCount  = "GOMP_SPINCOUNT"
	// briefly is tens of microseconds, longer than threads that all run are apart.
	briefly = "3000"
)

// spinBriefly starts this program again in its own place, so that compute threads spin for a moment only before they
// sleep. By libgomp's default they spin for milliseconds, and keep the thread that they wait for from running wherever
// cores are shared: with the loader's threads, other pods, or by a CPU limit. A user's own choice stays.
func spinBriefly() {
	if os.Getenv(waitPolicy) != "" || os.Getenv(spinCount) != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return // slower where cores are shared, and right all the same
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), spinCount+"="+briefly))
}
