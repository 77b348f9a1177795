//go:build e2e

package chaos

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/controllers"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// staleWriter is a trainer of the first attempt that stood still and goes on when the second has begun: on a node that the
// cluster had given up, say. It is the same program, with the same files, as the same user.
func staleWriter(s *trial) {
	stale := s.trainerOfAttempt(1)
	lines, err := stale.StderrPipe()
	s.Must(err)
	s.KillTrainer() // the next attempt waits for its back-off
	s.Must(stale.Start())
	said := &strings.Builder{}
	out := bufio.NewScanner(io.TeeReader(lines, said))
	for out.Scan() && !strings.Contains(out.Text(), `"msg":"epoch"`) { // until it trains
		continue
	}
	s.Must(stale.Process.Signal(syscall.SIGSTOP))
	s.Eventually("another attempt that trains", scenario.Patience, func() string {
		st := s.Stage(pretrain)
		if st.Attempts != 2 || st.Progress == nil || st.Checkpoint == nil || st.Checkpoint.ResumedFrom == nil || st.Progress.Step <= *st.Checkpoint.ResumedFrom {
			return "none yet"
		}
		return ""
	})
	s.Must(stale.Process.Signal(syscall.SIGCONT))
	for out.Scan() {
		continue
	}
	err = stale.Wait()
	if stale.ProcessState.ExitCode() != contract.ExitStorage || !strings.Contains(said.String(), "attempt 2 has begun") {
		s.Errorf("the earlier attempt: %v, want exit code %d and that attempt 2 has begun\n%s", err, contract.ExitStorage, said)
	}
}

// trainerOfAttempt is the program of the run's pod as an attempt of the first stage, outside of any container.
func (s *trial) trainerOfAttempt(n int) *exec.Cmd {
	s.Helper()
	var maps corev1.ConfigMapList
	s.Must(scenario.API.List(s.Context(), &maps, client.InNamespace(s.Run.Namespace), client.HasLabels{controllers.LabelRun}))
	if len(maps.Items) != 1 || len(maps.Items[0].Data) != 1 {
		s.Fatalf("%d ConfigMaps of the run", len(maps.Items))
	}
	dir := s.TempDir()
	s.Must(os.Chmod(filepath.Dir(dir), 0o755))
	s.Must(os.Chown(dir, trainerUser, trainerUser))
	file := filepath.Join(dir, "run.yaml")
	for _, text := range maps.Items[0].Data {
		s.Must(os.WriteFile(file, []byte(text), 0o644))
	}
	c := exec.Command(scenario.Trainer, "stage", "--run", file, "--stage", pretrain)
	c.Env = append(os.Environ(), contract.EnvAttempt+"="+strconv.Itoa(n), contract.EnvThreads+"="+strconv.Itoa(int(s.Get().Status.Threads)),
		contract.EnvOutput+"="+s.output(), "XDG_CACHE_HOME="+dir, contract.EnvDatasetMirror+"="+scenario.Mirror,
		contract.EnvHTTPAddress+"=127.0.0.1:0", contract.EnvTerminationPath+"="+filepath.Join(dir, "message"))
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: trainerUser, Gid: trainerUser}}
	return c
}
