//go:build e2e

// Package e2e runs the operator's chart and the real trainer image on a real node: a real scheduler, kubelet, containers
// and volumes. `make test-e2e` brings the cluster up, installs the operator and runs it.
package e2e

import (
	"os"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

func TestMain(m *testing.M) { os.Exit(scenario.Main(m)) }

// trial is a scenario with the checks of this folder.
type trial struct{ *scenario.Scenario }

func start(t *testing.T, changes ...func(*v1alpha1.SimCLRRun)) *trial {
	t.Helper()
	return &trial{scenario.Start(t, changes...)}
}
