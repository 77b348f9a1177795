package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/test/host"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

func wantStorage(t *testing.T, err error, reason string) {
	t.Helper()
	var e *contract.Error
	if !errors.As(err, &e) || e.Code != contract.ExitStorage || e.Reason != reason {
		t.Errorf("got %v, want %s with exit code %d", err, reason, contract.ExitStorage)
	}
}

func TestAFullDiskKeepsTheLastGoodOne(t *testing.T) {
	dir := host.Disk(t, 512)
	s := open(t, dir, options(1))
	save(t, s, 10)
	large := state(20)
	large.Tensors = append(large.Tensors, safetensors.Tensor{Name: "large", Shape: []int{1 << 18}, Data: make([]float32, 1<<18)})
	wantStorage(t, s.Save(large), "DiskFull")
	expect(t, s, 10)
	for _, name := range names(t, s.dir) {
		if strings.HasPrefix(name, temporary) {
			t.Errorf("%s is left and takes room", name)
		}
	}
	save(t, s, 20) // what fits is saved again
	expect(t, s, 20)
}

func TestAReadOnlyDisk(t *testing.T) {
	dir := host.Disk(t, 512)
	s := open(t, dir, options(1))
	save(t, s, 10)
	host.Remount(t, dir, syscall.MS_RDONLY, "")
	wantStorage(t, s.Save(state(20)), "ReadOnlyOutput")
	_, err := Open(dir, "pretrain", options(2))
	wantStorage(t, err, "ReadOnlyOutput")
	wantStorage(t, OpenOutput(filepath.Join(dir, "new"), "run", "abc"), "ReadOnlyOutput")
	wantStorage(t, SaveResult(dir, nil, contract.TerminationMessage{Stage: "pretrain"}), "ReadOnlyOutput")
	expect(t, s, 10)
}

const childDir = "CHECKPOINT_TEST_CHILD_DIR"

// TestChildSaves is no test by itself: TestKilledWhileSaving runs it in a process that it kills.
func TestChildSaves(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	s := open(t, dir, options(1))
	from := int64(0)
	if st, _, err := s.Load(); err != nil {
		t.Fatal(err)
	} else if st != nil {
		from = st.Step
	}
	for step := from + 1; ; step++ {
		save(t, s, step)
	}
}

func TestKilledWhileSaving(t *testing.T) {
	dir := t.TempDir()
	last := int64(0)
	for i := range 12 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChildSaves$")
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(30 * time.Second)
		for {
			// wait for progress, then kill at another moment of a save each time
			raw, _ := os.ReadFile(filepath.Join(stageDir(dir, "pretrain"), latestFile))
			var step int64
			if _, err := fmt.Sscanf(string(raw), stepPrefix+"%d", &step); err == nil && step > last {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the child saves nothing")
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Duration(i*397) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		st, warnings, err := open(t, dir, options(1)).Load()
		if err != nil || st == nil || st.Step <= last {
			t.Fatalf("after a kill there is no newer checkpoint than step %d: %v, %v, %v", last, st, warnings, err)
		}
		for _, w := range warnings { // the pointer may be one behind; no checkpoint may be damaged
			if strings.Contains(w, "skipped") {
				t.Error(w)
			}
		}
		last = st.Step
	}
}
