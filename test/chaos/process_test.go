//go:build e2e

package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// Twenty runs, each killed once, at a step of chance.
func TestTwentyKills(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-chaos runs it")
	}
	for range 20 {
		t.Run("kill", func(t *testing.T) {
			s := &trial{Scenario: scenario.Start(t, scenario.PretrainOnly)}
			s.Trains(pretrain, 1)
			time.Sleep(time.Duration(rand.Float64() * 0.6 * float64(s.remaining()))) // whatever it does then
			if st := s.Stage(pretrain); st.Checkpoint != nil {
				s.saved = st.Checkpoint.Step
			}
			s.KillTrainer()
			run := s.Completes()
			s.WantUndisturbed(run, 1)
			s.story(fault{}, run)
		})
	}
}

// remaining is how long pretraining takes from the last step on that was told.
func (s *trial) remaining() time.Duration {
	s.Helper()
	p := s.Stage(pretrain).Progress
	rate, err := strconv.ParseFloat(p.ImagesPerSecond, 64)
	s.Must(err)
	return time.Duration(float64(p.TotalSteps-p.Step) * float64(s.Run.Spec.BatchSize) / rate * float64(time.Second))
}

// One run, killed five times, each time as soon as it has saved something new: were it the status that is looked at, a fast machine would
// train to the end between a checkpoint and its telling.
func TestKilledFiveTimes(t *testing.T) {
	if testing.Short() {
		t.Skip("make test-chaos runs it")
	}
	s := &trial{Scenario: scenario.Start(t, scenario.PretrainOnly, func(r *v1alpha1.SimCLRRun) {
		r.Spec.RestartPolicy.MaxRestarts, r.Spec.RestartPolicy.BackoffSeconds = new(int32(5)), new(int32(1))
		r.Spec.Checkpoint.IntervalSeconds = 1
	})}
	s.Trains(pretrain, 1)
	for range 5 {
		last := s.saved
		s.Eventually("a newer checkpoint", scenario.Patience, func() string {
			if s.saved = s.newest(); s.saved == last {
				return "none"
			}
			return ""
		})
		s.KillTrainer()
	}
	run := s.Completes()
	s.WantUndisturbed(run, 5)
	s.story(fault{}, run)
}

// killedInCheckpoint kills when the files of the next checkpoint have begun.
func killedInCheckpoint(s *trial) {
	s.Helper()
	pid, dir := s.TrainerPID(), s.checkpoints()
	deadline := time.Now().Add(scenario.Patience)
	for time.Now().Before(deadline) {
		entries, err := os.ReadDir(dir)
		s.Must(err)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".tmp-step-") {
				s.Kill(pid)
				s.Logf("killed at %s", e.Name())
				return
			}
		}
	}
	s.Fatal("no checkpoint was begun")
}

// outOfMemory fills the memory that the container may have.
func outOfMemory(s *trial) {
	s.Helper()
	s.OutOfMemory(s.TrainerPID())
	s.Eventually("the kernel's kill told", scenario.Patience, func() string {
		if f := s.Stage(pretrain).LastFailure; f == nil || f.Reason != "OOMKilled" {
			return "none yet"
		}
		return ""
	})
}
