package main

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A bucket that does not answer is tried for minutes: a person is told so at once, and can stop it.
func TestPlanSaysWhatItTriesAgain(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "run.yaml"), `
apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {name: nobody}
spec:
  dataset: {uri: "s3://datasets/cifar", format: ImageFolder, endpoint: "http://127.0.0.1:1", imageSize: 32}
  batchSize: 8
`)
	c := exec.Command(program, "plan", "-f", file)
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "warning: ") {
			_ = c.Process.Signal(syscall.SIGINT) // the end of the lines shows that it ends
		}
	}
	err = c.Wait()
	if want := "connection refused"; err == nil || !strings.Contains(said, "warning: ") || !strings.Contains(said, want) {
		t.Errorf("%v\n%s\nwant a warning with %q, and its end by SIGINT", err, said, want)
	}
}
