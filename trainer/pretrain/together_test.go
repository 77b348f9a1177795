package pretrain

import (
	"testing"

	"github.com/simclr-operator/simclr-operator/trainer/collective"
	"github.com/simclr-operator/simclr-operator/trainer/collective/collectivetest"
)

// together runs f on every worker, and fails where one does.
func together(t *testing.T, size int, f func(w collective.Collective) error) {
	t.Helper()
	collectivetest.Run(t, size, f)
}
