package main

import (
	"os"
	"path/filepath"
)

// networkUp makes the pods' bridge before any pod exists, because the API server is advertised on its address.
func networkUp() error {
	if !exists("/sys/class/net/" + bridge) {
		if _, err := sh("ip", "link", "add", bridge, "address", bridgeMAC, "type", "bridge"); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"address", "replace", gatewayPrefix, "dev", bridge},
		{"link", "set", bridge, "up"},
		// service addresses have to have a route before nftables can rewrite them, also where no default route is
		{"route", "replace", serviceCIDR, "dev", bridge},
	} {
		if _, err := sh("ip", args...); err != nil {
			return err
		}
	}
	if err := os.WriteFile(ipForward, []byte("1"), 0o644); err != nil {
		return err
	}
	_, _ = sh("nft", "delete", "table", "ip", nftTable)
	_, err := sh("nft", "-f", config("simclr-cluster.nftables"))
	return err
}

// networkDown removes the bridge with its routes, and the tables of kube-proxy and of the cluster.
func networkDown() error {
	if exists("/sys/class/net/" + bridge) {
		if _, err := sh("ip", "link", "delete", bridge); err != nil {
			return err
		}
	}
	for _, table := range [][]string{{"ip", nftTable}, {"ip", "kube-proxy"}, {"ip6", "kube-proxy"}} {
		if _, err := sh("nft", "list", "table", table[0], table[1]); err != nil {
			continue
		}
		if _, err := sh("nft", "delete", "table", table[0], table[1]); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroups removes the kubelet's, which are empty once its pods are gone, in every hierarchy of v1 and in v2's one.
func removeCgroups() {
	for _, pattern := range []string{"/sys/fs/cgroup/kubepods", "/sys/fs/cgroup/*/kubepods"} {
		roots, _ := filepath.Glob(pattern)
		for _, root := range roots {
			_, _ = sh("find", root, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";")
		}
	}
}
