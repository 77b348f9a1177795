// Command cluster runs a one-node Kubernetes on this machine, of the real programs built from their Go modules: etcd,
// kube-apiserver, kube-controller-manager, kube-scheduler, kube-proxy, kubelet and CoreDNS as host processes, containerd
// and runc from Debian. It needs root on Debian 12 and package registries, nothing else; no Docker, no systemd.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return root().ExecuteContext(ctx)
}

func root() *cobra.Command {
	bin, kubeconfig := "build/k8s/bin", "build/k8s/kubeconfig"
	cmd := &cobra.Command{
		Use:           "cluster",
		Short:         "A real one-node Kubernetes on this machine (root, Debian 12)",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().StringVar(&bin, "bin", bin, "directory of etcd, kube-apiserver, … (hack/cluster/build.sh)")
	cmd.PersistentFlags().StringVar(&kubeconfig, "kubeconfig", kubeconfig, "the kubeconfig that up writes and down removes")

	cmd.AddCommand(
		&cobra.Command{
			Use: "up", Args: cobra.NoArgs,
			Short: "Start what does not run yet, and wait until the node is Ready",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return up(cmd.Context(), bin, kubeconfig)
			},
		},
		&cobra.Command{
			Use: "down", Args: cobra.NoArgs,
			Short: "Stop everything and remove every trace of it",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return down(cmd.Context(), kubeconfig)
			},
		},
		&cobra.Command{
			Use: "status", Args: cobra.NoArgs,
			Short: "Say which processes run, and where their logs are",
			RunE: func(*cobra.Command, []string) error {
				return status(os.Stdout)
			},
		},
		&cobra.Command{
			Use: "load FILE...", Args: cobra.MinimumNArgs(1),
			Short: "Import image archives into the node's containerd",
			RunE: func(cmd *cobra.Command, args []string) error {
				return load(cmd.Context(), args)
			},
		},
	)
	cmd.AddCommand(servers()...)
	return cmd
}

// servers are the processes of this program that up starts.
func servers() []*cobra.Command {
	return []*cobra.Command{
		{
			Use: "serve-datasets", Args: cobra.NoArgs, Hidden: true,
			Short: "Serve Debian's dataset packages as a mirror of known datasets",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return serveDatasets(cmd.Context())
			},
		},
		{
			Use: "serve-volumes", Args: cobra.NoArgs, Hidden: true,
			Short: "Provision claims of the default storage class as directories of this machine",
			RunE: func(cmd *cobra.Command, _ []string) error {
				return serveVolumes(cmd.Context(), adminKubeconfig)
			},
		},
	}
}
