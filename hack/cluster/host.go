package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// packages are what Debian has and the cluster needs.
var packages = []string{
	"ca-certificates", "containerd", "runc", "containernetworking-plugins", "nftables", "iptables", "iproute2",
	"util-linux", "dataset-fashion-mnist",
}

// preflight says at once what this machine lacks, and what can be done without it.
func preflight() error {
	const instead = "Instead: CLUSTER=current make demo REGISTRY=… uses the cluster of the current kubeconfig, and " +
		"`bin/simclr-trainer run -f FILE --output DIR` trains with no cluster."
	if runtime.GOOS != "linux" {
		return fmt.Errorf("the local cluster needs Debian 12 as root; this is %s. %s", runtime.GOOS, instead)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("the local cluster needs root: it starts containerd and a kubelet. %s", instead)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("the local cluster installs containerd and runc with apt-get, which is not here. %s", instead)
	}
	if exists(dataDir) {
		return nil // ours runs, or ran: its ports are taken by itself
	}
	for _, address := range []string{"127.0.0.1:12379", "0.0.0.0:16443", "0.0.0.0:10250", "127.0.0.1:10256"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%w: does another Kubernetes run on this machine? %s", err, instead)
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

func installPackages() error {
	var missing []string
	for _, name := range packages {
		out, err := sh("dpkg-query", "-W", "-f", "${Status}", name)
		if err != nil || !strings.Contains(out, "install ok installed") {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	sayf("installing %s", strings.Join(missing, " "))
	if err := os.Setenv("DEBIAN_FRONTEND", "noninteractive"); err != nil {
		return err
	}
	if _, err := sh("apt-get", "update", "-qq"); err != nil {
		return err
	}
	_, err := sh("apt-get", append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing...)...)
	return err
}

// before is the machine as up found it, for down to restore.
type before struct {
	Missing   []string `json:"missing"` // of sharedDirs
	IPForward string   `json:"ipForward"`
}

const ipForward = "/proc/sys/net/ipv4/ip_forward"

// remember makes the cluster's directories and, the first time, notes what the machine was like.
func remember() error {
	for _, dir := range []string{dataDir, runDir, pkiDir, configDir, logDir, volumesDir, kubeletDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	note := filepath.Join(dataDir, "before.json")
	if exists(note) {
		return nil
	}
	forward, err := os.ReadFile(ipForward)
	if err != nil {
		return err
	}
	b := before{IPForward: strings.TrimSpace(string(forward))}
	for _, dir := range sharedDirs {
		if !exists(dir) {
			b.Missing = append(b.Missing, dir)
		}
	}
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return os.WriteFile(note, data, 0o644)
}

func readBefore() (before, error) {
	var b before
	data, err := os.ReadFile(filepath.Join(dataDir, "before.json"))
	if errors.Is(err, os.ErrNotExist) { // up ended before it changed anything
		return b, nil
	}
	if err != nil {
		return b, err
	}
	err = json.Unmarshal(data, &b)
	return b, err
}

// restore removes the shared directories that were not there and puts the settings back.
func (b before) restore() error {
	for _, dir := range b.Missing {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if b.IPForward == "" {
		return nil
	}
	return os.WriteFile(ipForward, []byte(b.IPForward), 0o644)
}

func sayf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "cluster: "+format+"\n", args...)
}
