#!/usr/bin/env bash
# Tests on a real node: hack/e2e.sh PACKAGE... [FLAGS of go test]. A local cluster that was not there before is removed again,
# and what it leaves behind is an error; one that was there stays, with the operator upgraded.
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/environment.sh
[ "$cluster" = local ] || die "these tests need the local cluster: it changes nodes and kills processes. Unset CLUSTER."

# What a cluster is made of, as this machine has it now. A process that has ended and waits for init to notice is none of
# it.
traces() {
  ps -eo stat=,args= | sed -n 's/^[^Z ][^ ]* *//p' | grep -E "simclr-cluster|$PWD/build/k8s/bin|containerd-shim|^simclr-trainer|^manager" | grep -v grep || true
  awk '{print $2}' /proc/self/mounts
  ls -d /sys/class/net/* /var/lib/simclr-cluster /run/simclr-cluster /run/containerd /run/netns /run/runc /var/lib/cni \
    /var/lib/kubelet /var/log/containers /etc/cni /sys/fs/cgroup/kubepods /sys/fs/cgroup/*/kubepods 2>/dev/null || true
  nft list tables 2>/dev/null || true
  cat /proc/sys/net/ipv4/ip_forward
}

finish() {
  code=$?
  make --no-print-directory cluster-down || code=1
  if ! diff <(echo "$before") <(traces); then
    echo "e2e: the above is what the cluster left behind (>) or took away (<)" >&2
    code=1
  fi
  exit $code
}

if [ ! -e /var/lib/simclr-cluster ]; then
  before=$(traces)
  trap finish EXIT
fi
make --no-print-directory cluster-up install install-jobset HELM_FLAGS="--set progressIntervalSeconds=1"
PATH=$PWD/build/k8s/bin:$PATH SIMCLR_E2E_MIRROR=$mirror go test -tags e2e -count 1 -p 1 "$@"
