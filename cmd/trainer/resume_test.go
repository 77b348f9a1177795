package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/test/host"
)

// longStages take seconds, with blur, and save every second: what is stopped is stopped within an epoch.
const longStages = `
  augmentations: {gaussianBlur: {mode: Enabled}}
  checkpoint: {intervalSeconds: 1, keep: 3}
  pretraining: {epochs: 2}
  linearEvaluation: {mode: Disabled}
  finetuning: [{name: all, labelFraction: "1", epochs: 6}]
`

// longImages of each of three classes make longEpoch steps an epoch.
const (
	longImages = 800
	longEpoch  = 3 * longImages / 8
)

// A run that is killed, stopped or out of disk space within an epoch of pretraining or of finetuning goes
// on by the same command, and ends with the very bytes of one that was not.
func TestResumeIsBitIdentical(t *testing.T) {
	images := photographs(t, longImages, 8)
	// at 8 pixels there is no blur
	file := write(t, filepath.Join(t.TempDir(), "run.yaml"), strings.Replace(spec, "imageSize: 8", "imageSize: 20", 1)+longStages)
	commandLine := func(out string) []string {
		return []string{"run", "-f", file, "--dataset", images, "-o", out, "--threads", "2"}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	trainer(t, commandLine(whole)...).wants(t, contract.ExitDone)
	for name, interrupt := range map[string]func(t *testing.T) (out string){
		"killed": func(t *testing.T) string {
			out := filepath.Join(t.TempDir(), "out")
			stopWithin(t, out, "pretrain", syscall.SIGKILL, commandLine(out)...).wants(t, -1)
			stopWithin(t, out, "all", syscall.SIGKILL, commandLine(out)...).wants(t, -1, "pretrain  goes on from step")
			return out
		},
		"stopped": func(t *testing.T) string {
			out := filepath.Join(t.TempDir(), "out")
			stopWithin(t, out, "pretrain", syscall.SIGINT, commandLine(out)...).
				wants(t, contract.ExitInterrupt, "stopped by Ctrl-C", "newest checkpoint of stage pretrain: step")
			stopWithin(t, out, "all", syscall.SIGTERM, commandLine(out)...).
				wants(t, contract.ExitTerminate, "pretrain  goes on from step", "stopped by SIGTERM", "newest checkpoint of stage all: step")
			return out
		},
		"out of disk space": func(t *testing.T) string {
			dir := host.Disk(t, 2500) // one checkpoint, not two
			out := filepath.Join(dir, "out")
			trainer(t, commandLine(out)...).wants(t, contract.ExitStorage, "saving the checkpoint of stage pretrain", "the output disk is full")
			if step := latest(t, out, "pretrain"); step%longEpoch == 0 {
				t.Fatalf("the last good checkpoint is of step %d: the test's run is too short", step)
			}
			host.Remount(t, dir, 0, "size=64m")
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := interrupt(t)
			trainer(t, commandLine(out)...).wants(t, contract.ExitDone, "goes on from step")
			for _, file := range []string{"results.json", "encoder/model.safetensors", lastState(t, whole, "pretrain"), lastState(t, whole, "all")} {
				if read(t, filepath.Join(out, file)) != read(t, filepath.Join(whole, file)) {
					t.Errorf("%s differs from the uninterrupted run's", file)
				}
			}
			trainer(t, commandLine(out)...).wants(t, contract.ExitDone, "run tiny is done", "pretraining loss")
		})
	}
}

// stopWithin starts the program and stops it while a stage is within an epoch, with a checkpoint of that
// epoch.
func stopWithin(t *testing.T, out, stage string, signal syscall.Signal, args ...string) ended {
	t.Helper()
	c, stdout, stderr := command(args...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = c.Wait() // the exit code says it
		close(done)
	}()
	for latest(t, out, stage)%longEpoch == 0 {
		select {
		case <-done:
			t.Fatalf("it ended before it was stopped\n%s%s", stdout, stderr)
		case <-time.After(5 * time.Millisecond):
		}
	}
	time.Sleep(100 * time.Millisecond) // some steps more, which a kill loses
	if err := c.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-done
	return ended{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// latest is the step of a stage's newest checkpoint, 0 where there is none.
func latest(t *testing.T, out, stage string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(out, "checkpoints", stage, "latest"))
	if err != nil {
		return 0
	}
	step := 0
	if err := json.Unmarshal([]byte(strings.TrimLeft(strings.TrimPrefix(strings.TrimSpace(string(raw)), "step-"), "0")), &step); err != nil {
		t.Fatalf("latest has %q", raw)
	}
	return step
}

// lastState is the newest checkpoint's file of a stage, within the output.
func lastState(t *testing.T, output, stage string) string {
	t.Helper()
	within := filepath.Join("checkpoints", stage)
	latest := strings.TrimSpace(read(t, filepath.Join(output, within, "latest")))
	return filepath.Join(within, latest, "state.safetensors")
}

// A run that diverges ends with 11 and keeps its last good checkpoint; called again it goes on from that,
// to the same end.
func TestDivergenceKeepsTheLastGoodCheckpoint(t *testing.T) {
	// weight decay of 1 at this rate makes weights grow by a few percent a step, to the end of float32
	file := runFile(t, `
  checkpoint: {intervalSeconds: 1}
  pretraining: {epochs: 100000, warmupEpochs: 0, optimizer: SGD, weightDecay: "1", learningRate: "1.38"}
`)
	out := filepath.Join(t.TempDir(), "out")
	for _, want := range []string{"pretrain  training", "pretrain  goes on from step"} {
		trainer(t, "run", "-f", file, "--dataset", generated(t, 2, 8, 4), "-o", out).
			wants(t, contract.ExitDiverged, want, "stage pretrain diverged at step", "set its learningRate lower", "the last good checkpoint, "+out)
		for name, values := range tensors(t, filepath.Join(out, lastState(t, out, "pretrain"))) {
			if slices.ContainsFunc(values, func(v float32) bool { return v-v != 0 }) {
				t.Errorf("the checkpoint that is kept has a %s that is not finite", name)
			}
		}
	}
}

// On a terminal there is a bar, drawn over itself; the results follow on lines of their own.
func TestATerminalHasABar(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	line := strings.Join([]string{program, "run", "-f", runFile(t, pretrainOnly), "--dataset", generated(t, 2, 8, 0), "-o", out}, " ")
	raw, err := exec.Command("script", "-qec", "stty columns 150; "+line, "/dev/null").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if text := string(raw); !strings.Contains(text, "\r[########################] pretrain  training  100%") || !strings.Contains(text, "\npretraining loss") {
		t.Errorf("%q", text)
	}
}
