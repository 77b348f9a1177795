package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/test/host"
)

// pod is the environment of a stage in a pod.
type pod struct {
	t                      *testing.T
	file, output, messages string
	address                string
}

func newPod(t *testing.T, more string) *pod {
	t.Helper()
	text := strings.Replace(spec, "pvc://claim/", claim(t, generated(t, 2, 64, 4)), 1)
	return &pod{
		t: t, output: filepath.Join(t.TempDir(), "out"), messages: filepath.Join(t.TempDir(), "message"), address: host.FreeAddress(t),
		file: write(t, filepath.Join(t.TempDir(), "run.yaml"), text+more),
	}
}

// claim is the URI of a directory that is mounted where a pod has its claims.
func claim(t *testing.T, dir string) string {
	t.Helper()
	if err := os.Mkdir(contract.DataDir, 0o755); err == nil {
		t.Cleanup(func() { _ = os.Remove(contract.DataDir) }) // what others have put there stays
	}
	name := filepath.Join(contract.DataDir, "simclr-test-"+strings.ToLower(rand.Text()))
	if err := os.Symlink(dir, name); err != nil {
		t.Fatalf("this test puts a link into %s and must run as root: %v", contract.DataDir, err)
	}
	t.Cleanup(func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	})
	return "pvc://" + filepath.Base(name) + "/"
}

func (p *pod) env(attempt string) []string {
	return append(os.Environ(), contract.EnvAttempt+"="+attempt, contract.EnvThreads+"=2", contract.EnvOutput+"="+p.output,
		contract.EnvTerminationPath+"="+p.messages, contract.EnvHTTPAddress+"="+p.address)
}

// stage runs a stage; during is called while it runs.
func (p *pod) stage(name, attempt string, during func(signal func(os.Signal))) (ended, contract.TerminationMessage) {
	p.t.Helper()
	c, out, stderr := command("stage", "--run", p.file, "--stage", name)
	c.Env = p.env(attempt)
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	if during != nil {
		during(func(s os.Signal) {
			if err := c.Process.Signal(s); err != nil {
				p.t.Fatal(err)
			}
		})
	}
	_ = c.Wait() // the exit code says it
	var m contract.TerminationMessage
	if err := json.Unmarshal([]byte(read(p.t, p.messages)), &m); err != nil {
		p.t.Fatal(err)
	}
	e := ended{c.ProcessState.ExitCode(), out.String(), stderr.String()}
	if int(m.ExitCode) != e.code {
		p.t.Errorf("the message's exit code is %d: %v", m.ExitCode, e)
	}
	return e, m
}

// progress asks until the stage has done some steps.
func (p *pod) progress(steps int64) contract.Progress {
	p.t.Helper()
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + p.address + "/progress")
		if err != nil {
			continue
		}
		var got contract.Progress
		err = json.NewDecoder(resp.Body).Decode(&got)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			p.t.Fatal(err)
		}
		if got.Step >= steps {
			return got
		}
	}
	p.t.Fatal("no progress in a minute")
	return contract.Progress{}
}

func TestStageInAPod(t *testing.T) {
	p := newPod(t, "  pretraining: {epochs: 20}\n  linearEvaluation: {mode: Disabled}\n")
	e, m := p.stage("pretrain", "1", func(signal func(os.Signal)) {
		if got := p.progress(3); got.Phase != "Training" || got.TotalSteps != 20*16 || got.Stage != "pretrain" || got.Attempt != 1 {
			t.Errorf("progress %+v", got)
		}
		signal(syscall.SIGTERM)
	})
	e.wants(t, contract.ExitTerminate)
	for _, r := range e.logs(t) {
		step, ok := r["step"].(float64)
		if r["run"] != "tiny" || r["stage"] != "pretrain" || r["attempt"] != 1. || r["rank"] != 0. || !ok || step < 0 {
			t.Errorf("log record %v lacks run, stage, attempt, rank or step", r)
		}
	}
	if m.CheckpointStep < 3 || m.Step != m.CheckpointStep || m.Reason != "Terminated" {
		t.Errorf("message %+v", m)
	}
	saved := m.CheckpointStep
	e, m = p.stage("pretrain", "2", nil)
	e.wants(t, contract.ExitDone)
	if m.ResumedFrom == nil || *m.ResumedFrom != saved || m.Results == nil || m.Results.KNNTop1 == "" || m.EncoderSHA256 == "" {
		t.Errorf("message %+v, want it resumed from %d", m, saved)
	}
	_, again := p.stage("pretrain", "3", nil)
	if diff := cmp.Diff(m, again); diff != "" {
		t.Errorf("the message of a stage that is done (-before +again):\n%s", diff)
	}
	_, m = p.stage("nothing", "1", nil)
	if m.ExitCode != contract.ExitUserError || !strings.Contains(m.Message, "nothing") {
		t.Errorf("message of an unknown stage %+v", m)
	}
}

func TestEpochsZeroAndFrom(t *testing.T) {
	images := generated(t, 2, 8, 4)
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	rest := "  linearEvaluation: {method: LBFGS}\n"
	trainer(t, "run", "-f", runFile(t, "  pretraining: {epochs: 0}\n"+rest), "--dataset", images, "-o", first).wants(t, contract.ExitDone, "kNN", "linear")
	from := runFile(t, "  pretraining: {from: {uri: pvc://claim/encoder}}\n"+rest)
	trainer(t, "run", "-f", from, "--dataset", images, "--encoder", filepath.Join(first, "encoder"), "-o", second).wants(t, contract.ExitDone, "kNN", "linear")
	for _, file := range []string{"encoder/model.safetensors", "results.json"} {
		if read(t, filepath.Join(first, file)) != read(t, filepath.Join(second, file)) {
			t.Errorf("%s differs after it was taken over", file)
		}
	}
	wider := strings.Replace(read(t, from), `"0.125"`, `"0.25"`, 1)
	trainer(t, "run", "-f", write(t, filepath.Join(t.TempDir(), "w.yaml"), wider), "--dataset", images, "--encoder", filepath.Join(first, "encoder"), "-o", t.TempDir()).
		wants(t, contract.ExitUserError, "encoder.widthMultiplier")
}

func TestCommandsThatTell(t *testing.T) {
	file := runFile(t, shortStages)
	images := generated(t, 2, 8, 4)
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"validate": {[]string{"validate", "-f", file}, []string{"is valid", "pretrain, linear-eval, half"}},
		"plan":     {[]string{"plan", "-f", file, "--dataset", images}, []string{"pretrain", "half", `strength: "0.5"`}},
		"devices":  {[]string{"devices", "--threads", "2"}, []string{"CPU", "threads 2", "oneDNN"}},
		"version":  {[]string{"version"}, []string{"trainer contract 1"}},
		"help":     {[]string{"run", "--help"}, []string{"Examples:", "results.json", "Ctrl-C"}},
	} {
		t.Run(name, func(t *testing.T) { trainer(t, tc.args...).wants(t, contract.ExitDone, tc.want...) })
	}
}
