package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// teamStages are a pretraining of seconds, which saves every second, and a stage that one process does.
const teamStages = "  pretraining: {epochs: 25}\n  linearEvaluation: {epochs: 1}\n  checkpoint: {intervalSeconds: 1, keep: 3}\n"

// Two processes end with the loss that one does, but for rounding: the same file, a step an epoch.
func TestTwoProcessesLearnWhatOneDoes(t *testing.T) {
	few := strings.NewReplacer("batchSize: 8", "batchSize: 64").Replace(spec) + strings.Replace(teamStages, "epochs: 25", "epochs: 2", 1)
	file, images := write(t, filepath.Join(t.TempDir(), "run.yaml"), few), generated(t, 2, 40, 8)
	var losses []float64
	for _, workers := range []string{"1", "2"} {
		out := filepath.Join(t.TempDir(), "out")
		e := trainer(t, "run", "-f", file, "--dataset", images, "-o", out, "--threads", "2", "--workers", workers)
		e.wants(t, contract.ExitDone, "linear top-1 %", "written to")
		losses = append(losses, pretrainingLoss(t, e.out))
	}
	if math.Abs(losses[1]-losses[0]) > 1e-3*losses[0] {
		t.Errorf("two end with the loss %v, one with %v", losses[1], losses[0])
	}
}

func pretrainingLoss(t *testing.T, out string) float64 {
	t.Helper()
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(line, "pretraining loss"); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no loss in %q", out)
	return 0
}

// However several processes are disturbed, all of them end, in time and with a message that says what happened, and the same
// command goes on to the very encoder of those that were not.
func TestDisturbedProcesses(t *testing.T) {
	images, file := generated(t, 2, 80, 8), runFile(t, teamStages)
	commandLine := func(out string) []string {
		return []string{"run", "-f", file, "--dataset", images, "-o", out, "--threads", "2", "--workers", "2"}
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if trainer(t, commandLine(whole)...).wants(t, contract.ExitDone); t.Failed() {
		return
	}
	for name, tc := range map[string]struct {
		signal syscall.Signal
		rank   int // -1: the one that has started the others
		code   int
		want   []string
	}{
		"worker 1 is killed":              {syscall.SIGKILL, 1, contract.ExitPeerLost, []string{"worker 1 of 2 was ended by signal 9", "the same command goes on"}},
		"worker 0 is killed":              {syscall.SIGKILL, 0, contract.ExitPeerLost, []string{"worker 0 of 2 was ended by signal 9"}},
		"worker 1 is told to stop":        {syscall.SIGTERM, 1, contract.ExitTerminate, []string{"worker 1 was stopped, and the others with it"}},
		"Ctrl-C":                          {syscall.SIGINT, -1, contract.ExitInterrupt, []string{"stopped by Ctrl-C", "newest checkpoint of stage pretrain: step"}},
		"SIGTERM":                         {syscall.SIGTERM, -1, contract.ExitTerminate, []string{"stopped by SIGTERM", "newest checkpoint of stage pretrain: step"}},
		"the one that starts them killed": {syscall.SIGKILL, -1, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			e := disturbed(t, out, tc.rank, tc.signal, commandLine(out)...)
			e.wants(t, tc.code, tc.want...)
			trainer(t, commandLine(out)...).wants(t, contract.ExitDone, "goes on from step")
			for _, file := range []string{"results.json", "encoder/model.safetensors"} {
				if read(t, filepath.Join(out, file)) != read(t, filepath.Join(whole, file)) {
					t.Errorf("%s differs from that of processes that were not disturbed", file)
				}
			}
			trainer(t, commandLine(out)...).wants(t, contract.ExitDone, "run tiny is done")
		})
	}
}

// disturbed starts the program, sends a signal to one of its processes after the first checkpoint, and waits until all have ended.
func disturbed(t *testing.T, out string, rank int, signal syscall.Signal, args ...string) ended {
	t.Helper()
	c, stdout, stderr := command(args...)
	c.WaitDelay = time.Second // of processes that hold its output
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	for begin := time.Now(); latest(t, out, "pretrain") == 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("no checkpoint in a minute\n%s", stderr)
		}
	}
	time.Sleep(200 * time.Millisecond) // some steps more
	members := ranked(t, c.Process.Pid)
	pid := c.Process.Pid
	if rank >= 0 {
		pid = members[rank]
	}
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatal(err)
	}
	sent := time.Now()
	_ = c.Wait() // the exit code says it
	for _, member := range members {
		for syscall.Kill(member, 0) == nil {
			if time.Since(sent) > 30*time.Second {
				t.Fatalf("process %d goes on after 30 seconds\n%s", member, stderr)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if took := time.Since(sent); took > 30*time.Second {
		t.Errorf("all have ended after %v", took)
	}
	return ended{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// ranked are the processes that one has started, by their rank.
func ranked(t *testing.T, parent int) map[int]int {
	t.Helper()
	members := map[int]int{}
	for _, text := range childrenOf(t, parent) {
		environ := read(t, filepath.Join("/proc", text, "environ"))
		for _, v := range strings.Split(environ, "\x00") {
			if rank, ok := strings.CutPrefix(v, contract.EnvRank+"="); ok {
				members[number(t, rank)] = number(t, text)
			}
		}
	}
	if len(members) != 2 {
		t.Fatalf("%d processes: %v", len(members), members)
	}
	return members
}

func childrenOf(t *testing.T, parent int) []string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/" + strconv.Itoa(parent) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []string
	for _, task := range tasks {
		if raw, err := os.ReadFile(task); err == nil {
			pids = append(pids, strings.Fields(string(raw))...)
		}
	}
	return pids
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The key of the processes is only this user's to read while they run, and gone afterwards; they have a part of the threads each.
func TestWhatProcessesAreGiven(t *testing.T) {
	images, file, temporary := generated(t, 2, 80, 8), runFile(t, teamStages), t.TempDir()
	t.Setenv("TMPDIR", temporary)
	out, log := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "log")
	c, _, stderr := command("run", "-f", file, "--dataset", images, "-o", out, "--threads", "3", "--workers", "2", "--log", log)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for latest(t, out, "pretrain") == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	keys, err := filepath.Glob(filepath.Join(temporary, "simclr-workers-*", "key"))
	if err != nil || len(keys) != 1 {
		t.Fatalf("keys %v, %v", keys, err)
	}
	for path, want := range map[string]os.FileMode{keys[0]: 0o600, filepath.Dir(keys[0]): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	var threads []string
	for _, pid := range ranked(t, c.Process.Pid) {
		for _, v := range strings.Split(read(t, filepath.Join("/proc", strconv.Itoa(pid), "environ")), "\x00") {
			if n, ok := strings.CutPrefix(v, contract.EnvThreads+"="); ok {
				threads = append(threads, n)
			}
		}
	}
	if slices.Sort(threads); !slices.Equal(threads, []string{"1", "2"}) {
		t.Errorf("threads %v of 3", threads)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _ = c.Wait(); c.ProcessState.ExitCode() != contract.ExitInterrupt {
		t.Errorf("%v\n%s", c.ProcessState, stderr)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	for _, rank := range []string{`"rank":0`, `"rank":1`} {
		if !strings.Contains(read(t, log), rank) {
			t.Errorf("the log has no line of %s", rank)
		}
	}
}
