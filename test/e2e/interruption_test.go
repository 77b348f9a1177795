//go:build e2e

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// undisturbed is the encoder's digest of a run that nothing happened to, trained once for all tests.
var undisturbed string

func (s *scenario) wantUndisturbed(run *v1alpha1.SimCLRRun) {
	s.Helper()
	if undisturbed == "" {
		undisturbed = start(s.T, pretrainOnly).completes().Status.Encoder.SHA256
	}
	if got := run.Status.Encoder.SHA256; got != undisturbed {
		s.Errorf("the encoder's digest is %s; an undisturbed run's is %s", got, undisturbed)
	}
	if run.Status.Restarts != 0 {
		s.Errorf("%d restarts were charged", run.Status.Restarts)
	}
}

// Suspension saves a checkpoint and frees the node; the run goes on from there and ends with the same weights.
func TestSuspendAndResume(t *testing.T) {
	s := start(t, pretrainOnly)
	s.trains("pretrain", 10)
	s.edit(suspended(true))
	s.condition(v1alpha1.ConditionSuspended, metav1.ConditionTrue, "Suspended", patience)
	if pods := s.pods(); len(pods) > 0 {
		t.Errorf("pods of a suspended run: %v", pods)
	}
	st := s.stage("pretrain")
	if st.State != v1alpha1.StageSuspended || st.Checkpoint == nil || st.Checkpoint.Step < 10 {
		t.Errorf("stage %+v", st)
	}
	saved := st.Checkpoint.Step
	s.edit(suspended(false))
	s.condition(v1alpha1.ConditionSuspended, metav1.ConditionFalse, "NotSuspended", patience)
	s.trains("pretrain", saved+1)
	if from := s.stage("pretrain").Checkpoint.ResumedFrom; from == nil || *from != saved {
		t.Errorf("resumed from %v, saved at %d", from, saved)
	}
	s.wantUndisturbed(s.completes())
}

// A pod that somebody deletes saves at SIGTERM, is replaced at once and charged to nobody.
func TestDeletedPod(t *testing.T) {
	s := start(t, pretrainOnly)
	s.trains("pretrain", 10)
	pods := s.pods()
	if len(pods) != 1 {
		t.Fatalf("pods %v", pods)
	}
	s.must(api.Delete(t.Context(), &pods[0]))
	begin := time.Now()
	s.eventually("another pod", patience, func() string {
		for _, p := range s.pods() {
			if p.UID != pods[0].UID && p.Spec.NodeName != "" {
				return ""
			}
		}
		return "none"
	})
	t.Logf("the next pod was there after %s", time.Since(begin).Round(time.Second))
	run := s.completes()
	st := s.stage("pretrain")
	if st.Attempts != 2 || st.LastFailure == nil || st.LastFailure.Charge != "Uncharged" || st.Checkpoint == nil || st.Checkpoint.ResumedFrom == nil {
		t.Errorf("stage %+v", st)
	}
	s.wantUndisturbed(run)
}

// A pod that is killed without notice loses no more than what came after its last checkpoint, and is charged.
func TestKilledTrainer(t *testing.T) {
	s := start(t, pretrainOnly)
	s.eventually("a checkpoint", patience, func() string {
		if st := s.stage("pretrain"); st.Checkpoint == nil || st.Checkpoint.Step == 0 {
			return "none"
		}
		return ""
	})
	pods := s.pods()
	if len(pods) != 1 {
		t.Fatalf("pods %v", pods)
	}
	s.killTrainer()
	run := s.completes()
	st := s.stage("pretrain")
	if st.Attempts != 2 || st.LastFailure == nil || st.LastFailure.Charge != "Charged" || *st.LastFailure.ExitCode != 137 ||
		st.Checkpoint.ResumedFrom == nil || *st.Checkpoint.ResumedFrom == 0 {
		t.Errorf("stage %+v", st)
	}
	if run.Status.Restarts != 1 {
		t.Errorf("%d restarts, want 1", run.Status.Restarts)
	}
	run.Status.Restarts = 0 // the kill's own
	s.wantUndisturbed(run)
}

// killTrainer kills the trainer's process on the node with SIGKILL. The tests run one after the other, so there is one.
func (s *scenario) killTrainer() {
	s.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	s.must(err)
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !bytes.HasPrefix(line, []byte("simclr-trainer\x00stage\x00")) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		s.must(err)
		s.must(syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	s.Fatal("no process of a trainer on this machine: these tests run on the node")
}
