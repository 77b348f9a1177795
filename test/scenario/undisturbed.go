package scenario

import "github.com/simclr-operator/simclr-operator/api/v1alpha1"

// undisturbed is the encoder's digest of a PretrainOnly run that nothing happened to, trained once for all tests.
var undisturbed string

// WantUndisturbed wants the weights of a PretrainOnly run that nothing happened to, bit by bit, and so many charged restarts.
func (s *Scenario) WantUndisturbed(run *v1alpha1.SimCLRRun, restarts int32) {
	s.Helper()
	if undisturbed == "" {
		undisturbed = Start(s.T, PretrainOnly).Completes().Status.Encoder.SHA256
	}
	if got := run.Status.Encoder.SHA256; got != undisturbed {
		s.Errorf("the encoder's digest is %s; an undisturbed run's is %s", got, undisturbed)
	}
	if run.Status.Restarts != restarts {
		s.Errorf("%d restarts were charged, want %d", run.Status.Restarts, restarts)
	}
}
