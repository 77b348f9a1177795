package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// up is idempotent: what runs as it should is left alone.
func up(ctx context.Context, bin, kubeconfig string) error {
	start := time.Now()
	if err := preflight(); err != nil {
		return err
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	for _, step := range []func() error{installPackages, remember, writePKI, writeConfigs, networkUp} {
		if err := step(); err != nil {
			return err
		}
	}
	processes, err := components(bin)
	if err != nil {
		return err
	}
	if err := writeStateOf(bin, kubeconfig); err != nil {
		return err
	}
	client, err := newClient()
	if err != nil {
		return err
	}
	for _, p := range processes {
		if err := p.ensure(); err != nil {
			return err
		}
		if err := waitFor(ctx, p, client, processes); err != nil {
			return err
		}
	}
	if err := waitForNode(ctx, client, processes); err != nil {
		return err
	}
	sayf("node Ready after %s; KUBECONFIG=%s", time.Since(start).Round(100*time.Millisecond), kubeconfig)
	return nil
}

// waitFor returns once a process that others give up without is there for them.
func waitFor(ctx context.Context, p process, client kubernetes.Interface, processes []process) error {
	switch p.name {
	case "kube-apiserver":
		if err := waitForAPI(ctx, client, processes); err != nil {
			return err
		}
		return createStorageClass(ctx, client)
	case "containerd": // the kubelet ends where it does not answer
		return waitForContainerd(ctx, processes)
	}
	return nil
}

// writeStateOf hands out the kubeconfig and notes where the programs are, for status and down.
func writeStateOf(bin, kubeconfig string) error {
	data, err := os.ReadFile(adminKubeconfig)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(kubeconfig), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(kubeconfig, data, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dataDir, "bin"), []byte(bin), 0o644)
}

// known are the processes that the last up started.
func known() ([]process, error) {
	bin, err := os.ReadFile(filepath.Join(dataDir, "bin"))
	if err != nil {
		return nil, errors.New("no local cluster on this machine (make cluster-up)")
	}
	return components(string(bin))
}

func status(out io.Writer) error {
	processes, err := known()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PROCESS\tPID\tLOG")
	stopped := 0
	for _, p := range processes {
		pid := "stopped"
		if r, ok := p.observe(); ok {
			pid = fmt.Sprint(r.PID)
		} else {
			stopped++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", p.name, pid, p.logFile())
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if stopped > 0 {
		return fmt.Errorf("%d of %d processes do not run; make cluster-up starts them", stopped, len(processes))
	}
	return nil
}

func newClient() (kubernetes.Interface, error) {
	c, err := clientConfig(adminKubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(c)
}

func clientConfig(kubeconfig string) (*rest.Config, error) {
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	c.Timeout = 30 * time.Second
	return c, nil
}
