package main

import (
	"syscall"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// The contract's 143 means a saved checkpoint: a second SIGTERM, which waits for none, is another code.
func TestSignalCodes(t *testing.T) {
	for s, want := range map[syscall.Signal][2]int{
		syscall.SIGTERM: {contract.ExitTerminate, contract.ExitStorage},
		syscall.SIGINT:  {contract.ExitInterrupt, contract.ExitInterrupt},
	} {
		if got := [2]int{contract.ExitCode(causeOf(s)), secondCode(s)}; got != want {
			t.Errorf("%s: exit codes %v, want %v", s, got, want)
		}
	}
}
