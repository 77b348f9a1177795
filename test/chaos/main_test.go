//go:build e2e

// Package chaos does to runs what clusters do: it kills, drains, preempts, fills disks and restarts what Kubernetes is made
// of, while a real trainer trains, and wants the weights of an undisturbed run at the end, bit by bit. docs/reliability.md is
// the table of it. `make test-chaos` runs all; with -short, as `make test` does, those that are marked so.
package chaos

import (
	"os"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

func TestMain(m *testing.M) { os.Exit(scenario.Main(m)) }

const pretrain = "pretrain"

// trial is a run that something happens to.
type trial struct {
	*scenario.Scenario
	saved int64 // the newest checkpoint that the status told of before it happened
}

// fault is something that happens to a run that trains.
type fault struct {
	before  func(t *testing.T)                        // the run is made
	change  func(t *testing.T, r *v1alpha1.SimCLRRun) // of the run
	happens func(s *trial)                            // when the run has a checkpoint

	charged   int32  // restarts: the run's own failures
	blamed    *int32 // the rank that ended first, of several workers
	anyCharge bool   // how many depends on how long it lasts
	unnoticed bool   // by the trainer: nothing restarts
	older     bool   // the newest checkpoint is lost, the one before it is not
	again     bool   // the stage had ended, and runs again: nothing is resumed
	short     bool
}

// faults, of all files of this folder. Those that are the run's own fault are charged.
var faults = map[string]fault{
	"trainer killed": {happens: func(s *trial) { s.KillTrainer() }, charged: 1, short: true},
	"trainer killed while it writes a checkpoint": {happens: killedInCheckpoint, charged: 1, short: true},
	"out of memory":                         {happens: outOfMemory, charged: 1, short: true},
	"pod deleted":                           {happens: podDeleted},
	"pod deleted without grace":             {happens: podDeletedAtOnce},
	"pod evicted":                           {happens: podEvicted, short: true},
	"node drained and uncordoned":           {happens: nodeDrained, short: true},
	"preempted by a higher priority":        {happens: preempted, short: true},
	"image gone for a while":                {happens: imageGone},
	"suspended and resumed, repeatedly":     {happens: suspendedRepeatedly},
	"disk full":                             {change: onSmallDisk, happens: diskFull, anyCharge: true},
	"newest checkpoint damaged":             {happens: checkpointDamaged, older: true, short: true},
	"newest checkpoint truncated":           {happens: checkpointTruncated, older: true},
	"newest checkpoint half renamed":        {happens: checkpointHalfRenamed, older: true},
	"an earlier attempt goes on writing":    {happens: staleWriter, charged: 1},
	"termination message lost":              {happens: messageLost, again: true},
	"status wiped":                          {happens: statusWiped, unnoticed: true},
	"API server restarted":                  {happens: restarted("kube-apiserver"), unnoticed: true},
	"etcd restarted":                        {happens: restarted("etcd"), unnoticed: true},
	"kubelet restarted":                     {happens: restarted("kubelet"), unnoticed: true},
	"controller manager restarted":          {happens: restarted("kube-controller-manager"), unnoticed: true},
	"operator killed":                       {happens: operatorKilled, unnoticed: true, short: true},
	"leader of two replicas killed":         {happens: leaderKilled},
	"a worker of two killed":                {change: twoWorkers, happens: workerKilled, charged: 1, blamed: new(int32(1)), short: true},
	"the first worker of two killed":        {change: twoWorkers, happens: leadKilled, charged: 1, blamed: new(int32(0))},
	"a worker of two drained":               {change: twoWorkers, happens: workerEvicted, blamed: new(int32(1)), short: true},
	"network between two workers cut":       {change: twoWorkers, happens: workersCut},
	"operator upgraded from an older chart": {before: olderOperator, happens: operatorUpgraded, unnoticed: true},
}

func TestFaults(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !f.short {
				t.Skip("make test-chaos runs it")
			}
			f.befalls(t)
		})
	}
}

// befalls lets it happen to a run between two checkpoints, and checks how the run ends and what its status tells.
func (f fault) befalls(t *testing.T) {
	if f.before != nil {
		f.before(t)
	}
	s := &trial{Scenario: scenario.Start(t, scenario.PretrainOnly, func(r *v1alpha1.SimCLRRun) {
		if f.change != nil {
			f.change(t, r)
		}
	})}
	s.saved = s.Checkpointed(pretrain)
	f.happens(s)
	run := s.Completes()
	charged := f.charged
	if f.anyCharge {
		charged = max(1, run.Status.Restarts)
	}
	s.WantUndisturbed(run, charged)
	s.story(f, run)
}

// story is what the status says: where the run went on, and that it lost nothing that was saved.
func (s *trial) story(f fault, run *v1alpha1.SimCLRRun) {
	s.Helper()
	st := s.Stage(pretrain)
	from := int64(0)
	if st.Checkpoint != nil && st.Checkpoint.ResumedFrom != nil {
		from = *st.Checkpoint.ResumedFrom
	}
	s.Logf("saved %d, resumed from %d, %d attempts, %d restarts charged, last failure %+v",
		s.saved, from, st.Attempts, run.Status.Restarts, st.LastFailure)
	if l := st.LastFailure; f.blamed != nil && (l == nil || l.Rank == nil || *l.Rank != *f.blamed) {
		s.Errorf("the last failure is not of rank %d", *f.blamed)
	}
	switch {
	case f.unnoticed:
		if st.Attempts != 1 || from != 0 {
			s.Errorf("%d attempts, resumed from %d: the trainer should not have noticed", st.Attempts, from)
		}
	case f.again:
		if st.Attempts != 2 {
			s.Errorf("%d attempts, want 2", st.Attempts)
		}
	case from < s.saved || f.older && from > s.saved:
		s.Errorf("resumed from step %d, but %d was saved", from, s.saved)
	}
}
