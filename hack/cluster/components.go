package main

import (
	"os"
	"path/filepath"
)

// components are the cluster's processes in the order of their start; down stops them in the reverse order.
func components(bin string) ([]process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program := func(name string) string { return filepath.Join(bin, name) }
	return []process{
		etcd(program("etcd")),
		apiServer(program("kube-apiserver")),
		{name: "kube-controller-manager", args: []string{program("kube-controller-manager"),
			"--kubeconfig=" + config("kube-controller-manager.kubeconfig"),
			"--authentication-kubeconfig=" + config("kube-controller-manager.kubeconfig"),
			"--authorization-kubeconfig=" + config("kube-controller-manager.kubeconfig"),
			"--service-account-private-key-file=" + pki("service-accounts.key"),
			"--root-ca-file=" + pki("ca.crt"),
			"--use-service-account-credentials",
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
		}},
		{name: "kube-scheduler", args: []string{program("kube-scheduler"),
			"--kubeconfig=" + config("kube-scheduler.kubeconfig"),
			"--authentication-kubeconfig=" + config("kube-scheduler.kubeconfig"),
			"--authorization-kubeconfig=" + config("kube-scheduler.kubeconfig"),
			"--leader-elect=false",
			"--bind-address=127.0.0.1",
		}},
		{name: "coredns", args: []string{program("coredns"), "-conf", config("Corefile")}, files: []string{config("Corefile")}},
		{name: "containerd", args: []string{"/usr/bin/containerd", "--config", config("containerd.toml")},
			files: []string{config("containerd.toml")}},
		{name: "kubelet", args: []string{program("kubelet"),
			"--config=" + config("kubelet.yaml"),
			"--kubeconfig=" + config("kubelet.kubeconfig"),
			"--root-dir=" + kubeletDir,
			"--cert-dir=" + kubeletDir + "/pki",
			"--hostname-override=" + nodeName,
			"--node-ip=" + gateway,
		}, files: []string{config("kubelet.yaml")}},
		{name: "kube-proxy", args: []string{program("kube-proxy"), "--config=" + config("kube-proxy.yaml")},
			files: []string{config("kube-proxy.yaml")}},
		{name: "volumes", args: []string{self, "serve-volumes"}},
		{name: "datasets", args: []string{self, "serve-datasets"}},
	}, nil
}

func etcd(program string) process {
	const peer = "https://127.0.0.1:12380"
	return process{name: "etcd", args: []string{program,
		"--data-dir=" + dataDir + "/etcd",
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--trusted-ca-file=" + pki("ca.crt"), "--cert-file=" + pki("etcd.crt"), "--key-file=" + pki("etcd.key"),
		"--client-cert-auth",
		"--peer-trusted-ca-file=" + pki("ca.crt"), "--peer-cert-file=" + pki("etcd.crt"), "--peer-key-file=" + pki("etcd.key"),
		"--peer-client-cert-auth",
		"--unsafe-no-fsync", // nothing here must survive a power cut
		"--log-level=warn",
	}}
}

func apiServer(program string) process {
	return process{name: "kube-apiserver", args: []string{program,
		"--advertise-address=" + gateway, // a loopback endpoint is refused
		"--bind-address=0.0.0.0",
		"--secure-port=16443",
		"--etcd-servers=" + etcdURL,
		"--etcd-cafile=" + pki("ca.crt"), "--etcd-certfile=" + pki("etcd.crt"), "--etcd-keyfile=" + pki("etcd.key"),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + pki("apiserver-kubelet.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc." + clusterDomain,
		"--service-account-key-file=" + pki("service-accounts.key"),
		"--service-account-signing-key-file=" + pki("service-accounts.key"),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--audit-policy-file=" + config("audit.yaml"),
		"--audit-log-path=" + logDir + "/audit.log",
		"--audit-log-mode=batch",
	}, files: []string{config("audit.yaml")}}
}
