package collective

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// LostError is that of a worker that is gone, or never came.
type LostError struct {
	Rank int
	Err  error
}

// Error names the rank.
func (e *LostError) Error() string { return fmt.Sprintf("worker %d is lost: %v", e.Rank, e.Err) }

// Unwrap is what was seen of it.
func (e *LostError) Unwrap() error { return e.Err }

// MismatchError is that of workers that do not make the same calls: a mistake in the program.
type MismatchError struct{ What string }

// Error says which calls.
func (e *MismatchError) Error() string { return "the workers' calls differ: " + e.What }

// lost is a LostError with the contract's exit code.
func lost(rank int, format string, args ...any) error {
	return &contract.Error{Code: contract.ExitPeerLost, Reason: "PeerLost", Err: &LostError{Rank: rank, Err: fmt.Errorf(format, args...)}}
}
