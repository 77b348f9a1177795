// Package stores starts the object stores of tests: real servers, each a process of its own on this machine, built from
// the modules under hack/tools. Only tests import it.
package stores

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/simclr-operator/simclr-operator/test/host"
)

// startTimeout of a server.
const startTimeout = 30 * time.Second

// tool is the path of a program of hack/tools, which is built where it is not there yet.
func tool(t testing.TB, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(here), "..", "..")
	bin := filepath.Join(root, "build", "tools", "bin")
	if err := os.MkdirAll(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	lock, err := os.Create(filepath.Join(bin, "."+name+".lock")) // packages are tested side by side
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "tools", "build.sh"), bin, name).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return filepath.Join(bin, name)
}

// process is a server that can be killed and started again at the same address.
type process struct {
	t       testing.TB
	address string
	command []string
	running *exec.Cmd
	log     strings.Builder
}

// Start the server, and wait until it takes connections.
func (p *process) Start() {
	p.t.Helper()
	p.running = exec.CommandContext(context.Background(), p.command[0], p.command[1:]...)
	p.running.Stdout, p.running.Stderr = &p.log, &p.log
	p.running.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.running.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(startTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := (&net.Dialer{}).DialContext(p.t.Context(), "tcp", p.address); err == nil {
			_ = c.Close()
			return
		}
	}
	p.Kill()
	p.t.Fatalf("%s does not listen at %s:\n%s", p.command[0], p.address, p.log.String())
}

// Kill the server, as an outage would: its connections break.
func (p *process) Kill() {
	if p.running != nil {
		_ = p.running.Process.Kill() // has ended already, at worst
		_ = p.running.Wait()
		p.running = nil
	}
}

// S3 is a server of the S3 protocol, by HTTPS. What is in Root/BUCKET/KEY is the object KEY of BUCKET.
type S3 struct {
	process
	Endpoint             string // https://127.0.0.1:PORT
	CA                   string // file of the certificate of the authority that signed the server's
	Root                 string
	AccessKey, SecretKey string
}

// StartS3 with a certificate of a private authority; it ends with the test.
func StartS3(t testing.TB) *S3 {
	t.Helper()
	dir := t.TempDir()
	ca, cert, key := certificates(t, dir)
	s := &S3{CA: ca, Root: filepath.Join(dir, "objects"), AccessKey: "test-access", SecretKey: "test-secret"}
	if err := os.Mkdir(s.Root, 0o777); err != nil {
		t.Fatal(err)
	}
	s.process = process{t: t, address: host.FreeAddress(t)}
	s.Endpoint = "https://" + s.address
	s.command = []string{
		tool(t, "versitygw"), "--quiet", "--keep-alive", "--access", s.AccessKey, "--secret", s.SecretKey,
		"--port", s.address, "--cert", cert, "--key", key, "posix", "--nometa", s.Root,
	}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// GCS is a server of Google Cloud Storage's protocol, by HTTP. What is in Root/BUCKET/KEY when it starts is the object
// KEY of BUCKET.
type GCS struct {
	process
	Host string // for STORAGE_EMULATOR_HOST
}

// StartGCS with the objects below a folder; it ends with the test.
func StartGCS(t testing.TB, root string) *GCS {
	t.Helper()
	g := &GCS{Host: host.FreeAddress(t)}
	name, port, err := net.SplitHostPort(g.Host)
	if err != nil {
		t.Fatal(err)
	}
	g.process = process{t: t, address: g.Host, command: []string{
		tool(t, "fake-gcs-server"), "-scheme", "http", "-host", name, "-port", port, "-backend", "memory", "-data", root,
		"-public-host", g.Host, "-external-url", fmt.Sprintf("http://%s", g.Host), "-log-level", "error",
	}}
	g.Start()
	t.Cleanup(g.Kill)
	return g
}
