package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// down leaves nothing behind but Debian's packages and the built programs. It can be repeated.
func down(ctx context.Context, kubeconfig string) error {
	if os.Geteuid() != 0 {
		return errors.New("this needs root")
	}
	if !exists(dataDir) && !exists(runDir) {
		sayf("no local cluster on this machine")
		return nil
	}
	processes, err := known()
	if err != nil { // up ended before it started anything
		processes, _ = components("")
	}
	stopBut(processes, "containerd", "etcd", "kube-apiserver")
	if exists(containerdSocket) {
		if err := removePods(ctx); err != nil {
			sayf("%v; killing what is left", err)
		}
	}
	stopBut(processes)
	killShims()
	b, err := readBefore()
	if err != nil {
		return err
	}
	if err := unmountBelow(append(b.Missing, dataDir, runDir)...); err != nil {
		return err
	}
	if err := networkDown(); err != nil {
		return err
	}
	removeCgroups()
	if err := b.restore(); err != nil {
		return err
	}
	for _, path := range []string{runDir, dataDir, kubeconfig} {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	sayf("removed")
	return nil
}

func stopBut(processes []process, names ...string) {
	for _, p := range slices.Backward(processes) {
		if !slices.Contains(names, p.name) {
			p.stop()
		}
	}
}

// removePods has containerd stop all pods, which also takes their network apart.
func removePods(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+containerdSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := cri.NewRuntimeServiceClient(conn)
	list, err := client.ListPodSandbox(ctx, &cri.ListPodSandboxRequest{})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	for _, pod := range list.Items {
		if _, err := client.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: pod.Id}); err != nil {
			return fmt.Errorf("stopping pod %s: %w", pod.Metadata.GetName(), err)
		}
		if _, err := client.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: pod.Id}); err != nil {
			return fmt.Errorf("removing pod %s: %w", pod.Metadata.GetName(), err)
		}
	}
	return nil
}

// killShims ends containers whose containerd died before it could.
func killShims() {
	stats, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range stats {
		cmdline, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(cmdline, []byte("containerd-shim")) || !bytes.Contains(cmdline, []byte(containerdSocket)) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			killTree(pid)
		}
	}
}

// killTree kills a process's children first, so that none escapes to init.
func killTree(pid int) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for field := range strings.FieldsSeq(string(children)) {
		if child, err := strconv.Atoi(field); err == nil {
			killTree(child)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// unmountBelow unmounts what lies below the directories, the last mount first.
func unmountBelow(dirs ...string) error {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for _, line := range slices.Backward(lines) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		for _, dir := range dirs {
			if strings.HasPrefix(fields[1], dir+"/") {
				if err := unix.Unmount(fields[1], unix.MNT_DETACH); err != nil {
					return fmt.Errorf("unmounting %s: %w", fields[1], err)
				}
			}
		}
	}
	return nil
}
