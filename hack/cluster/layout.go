package main

import "path/filepath"

// The cluster's addresses. The gateway is the bridge's address: pods, the host and the API server's certificate all
// know the node by it.
const (
	nodeName      = "simclr-node"
	bridge        = "simclr0"
	bridgeMAC     = "0a:58:0a:e7:00:01"
	gateway       = "10.231.0.1"
	gatewayPrefix = gateway + "/24"
	podCIDR       = "10.231.0.0/24"
	clusterCIDR   = "10.231.0.0/16"
	serviceCIDR   = "10.231.128.0/24"
	firstService  = "10.231.128.1" // kubernetes.default
	clusterDomain = "cluster.local"
	nftTable      = "simclr-cluster"

	apiServerURL = "https://" + gateway + ":16443"
	etcdURL      = "https://127.0.0.1:12379"
	mirrorAddr   = gateway + ":18080"
	sandboxImage = "simclr.local/pause:dev"
)

// Directories: short paths, because Unix sockets lie below them. dataDir is removed by down, with everything in it.
const (
	dataDir = "/var/lib/simclr-cluster"
	runDir  = "/run/simclr-cluster"

	containerdSocket = runDir + "/containerd.sock"
	pkiDir           = dataDir + "/pki"
	configDir        = dataDir + "/config"
	logDir           = dataDir + "/logs" // test/permissions reads its audit.log
	volumesDir       = dataDir + "/volumes"
	kubeletDir       = dataDir + "/kubelet"
	adminKubeconfig  = configDir + "/admin.kubeconfig"
)

func pki(name string) string    { return filepath.Join(pkiDir, name) }
func config(name string) string { return filepath.Join(configDir, name) }

// sharedDirs are made by the kubelet, containerd and CNI at fixed places; down removes those that up did not find.
var sharedDirs = []string{
	"/run/containerd", "/run/netns", "/run/runc", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/etc/cni",
}
