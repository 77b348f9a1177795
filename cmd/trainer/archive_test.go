package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// encoderDir is a directory of some files; unpacked reads what tar makes of an archive of it.
func encoderDir(t *testing.T) (dir string, files map[string]string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "encoder")
	files = map[string]string{"encoder/model.safetensors": "weights", "encoder/deep/config.json": "{}"}
	for name, text := range files {
		write(t, filepath.Join(filepath.Dir(dir), name), text)
	}
	return dir, files
}

func unpacked(t *testing.T, archive string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	c := exec.Command("tar", "-xf", write(t, filepath.Join(t.TempDir(), "encoder.tar"), archive))
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("tar -xf: %v\n%s", err, out)
	}
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[name] = read(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestArchive(t *testing.T) {
	dir, want := encoderDir(t)
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	e := trainer(t, "archive", dir+"/")
	e.wants(t, contract.ExitDone)
	if diff := cmp.Diff(want, unpacked(t, e.out)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	trainer(t, "archive", filepath.Join(dir, "none")).wants(t, contract.ExitUserError, "not a directory")
	trainer(t, "archive").wants(t, contract.ExitUserError, "name one directory")
}

// Nothing is written while standard input is open, whatever comes through it.
func TestArchiveAfterStdin(t *testing.T) {
	dir, want := encoderDir(t)
	c := exec.Command(program, "archive", "--after-stdin", dir)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	got := make(chan []byte, 1)
	go func() {
		first := make([]byte, 1)
		_, _ = io.ReadFull(stdout, first) // what is missing shows below
		got <- first
		rest, _ := io.ReadAll(stdout)
		got <- rest
	}()
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-got:
		t.Fatalf("%q was written before standard input ended", b)
	case <-time.After(300 * time.Millisecond):
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	archive := append(<-got, <-got...)
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, unpacked(t, string(archive))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
