package main

import (
	"fmt"
	"os"
	"strings"
)

// writeConfigs writes the components' configuration files.
func writeConfigs() error {
	cni := config("cni")
	if err := os.MkdirAll(cni, 0o755); err != nil {
		return err
	}
	files := map[string]string{
		"containerd.toml":         containerdConfig(snapshotter(), cni),
		"cni/10-simclr.conflist":  cniConfig,
		"kubelet.yaml":            kubeletConfig,
		"kube-proxy.yaml":         kubeProxyConfig,
		"Corefile":                corefile,
		"audit.yaml":              auditPolicy,
		"simclr-cluster.nftables": masquerade,
	}
	for name, text := range files {
		if err := os.WriteFile(config(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// snapshotter is overlayfs, but where dataDir lies on an overlay itself, as in a container: those do not stack.
func snapshotter() string {
	mounts, err := sh("findmnt", "-n", "-o", "FSTYPE", "-T", dataDir)
	if err == nil && strings.HasPrefix(mounts, "overlay") {
		return "native"
	}
	return "overlayfs"
}

// restrict_oom_score_adj and disable_apparmor are for a root that is itself confined.
func containerdConfig(snapshotter, cni string) string {
	return fmt.Sprintf(`version = 2
root = "%[1]s/containerd"
state = "%[2]s/containerd"
[grpc]
  address = "%[3]s"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "%[4]s"
  restrict_oom_score_adj = true
  disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "%[5]s"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "%[6]s"
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
  Root = "%[2]s/runc"
`, dataDir, runDir, containerdSocket, sandboxImage, cni, snapshotter)
}

const cniConfig = `{
  "cniVersion": "1.0.0",
  "name": "simclr",
  "plugins": [{
    "type": "bridge",
    "bridge": "` + bridge + `",
    "isGateway": true,
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "dataDir": "` + runDir + `/ipam",
      "ranges": [[{"subnet": "` + podCIDR + `", "gateway": "` + gateway + `"}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`

// The thresholds are absolute, because a share of a large, well filled disk evicts for no reason.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: ` + gateway + `
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: ` + pkiDir + `/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: ` + pkiDir + `/kubelet-serving.crt
tlsPrivateKeyFile: ` + pkiDir + `/kubelet-serving.key
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
clusterDNS: [` + gateway + `]
clusterDomain: ` + clusterDomain + `
containerRuntimeEndpoint: unix://` + containerdSocket + `
makeIPTablesUtilChains: false
podLogsDir: ` + dataDir + `/pod-logs
resolvConf: /etc/resolv.conf
evictionHard: {memory.available: 100Mi, nodefs.available: 500Mi, imagefs.available: 500Mi}
imageGCHighThresholdPercent: 100
`

const kubeProxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: ` + configDir + `/kube-proxy.kubeconfig}
mode: nftables
clusterCIDR: ` + clusterCIDR + `
hostnameOverride: ` + nodeName + `
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
# replies between pods of one bridge have to come back through the host
nftables: {masqueradeAll: true}
`

const corefile = `.:53 {
  bind ` + gateway + `
  errors
  kubernetes ` + clusterDomain + ` {
    kubeconfig ` + adminKubeconfig + `
  }
  forward . /etc/resolv.conf
  cache 5
}
`

const masquerade = `table ip ` + nftTable + ` {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr ` + podCIDR + ` ip daddr != ` + clusterCIDR + ` masquerade
  }
}
`

// auditPolicy notes what ServiceAccounts of the operator's namespace ask for, without contents: test/permissions compares it
// with what is granted to them. A watch is noted when it starts (ResponseStarted).
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts:simclr-system"]
    omitManagedFields: true
  - level: None
`
