package controllers

import (
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Of a trainer's warnings as many and as much are passed on as the contract says.
func TestWarningsAreTheContracts(t *testing.T) {
	got := cleanWarnings(strings.Fields(strings.Repeat(strings.Repeat("x", 1000)+" ", 20)))
	if len(got) != contract.MaxWarnings {
		t.Fatalf("%d warnings", len(got))
	}
	if n := len(got[0]); n > contract.MaxWarningBytes || n < contract.MaxWarningBytes-4 {
		t.Errorf("%d bytes", n)
	}
}
