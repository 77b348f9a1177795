#!/usr/bin/env bash
# Builds Kubernetes, etcd and CoreDNS from their Go modules: build.sh OUTPUT_DIR COMMAND...
# A command that is there already, of the pinned version, is left alone.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
mkdir -p "$out"
out=$(cd "$out" && pwd)

version=$(sed -n 's/.*k8s.io\/kubernetes \(v[0-9.]*\).*/\1/p' "$here/kubernetes/go.mod" | head -1)
IFS=. read -r major minor _ <<<"${version#v}"

# without these, nodes and the API server call themselves v0.0.0-master
flags=()
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=("-X $package.gitVersion=$version" "-X $package.gitMajor=$major" "-X $package.gitMinor=$minor" "-X $package.gitTreeState=clean")
done

build() { # module folder, package, command, ldflags
  local stamp="$out/.$3.stamp" want
  want=$(find "$here/$1" "$here/build.sh" -type f -print0 | sort -z | xargs -0 cat | sha256sum)
  [ -x "$out/$3" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && return
  echo "building $3 ($(date +%T))"
  (cd "$here/$1" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w ${4:-}" -o "$out/$3" "$2")
  echo "$want" >"$stamp"
}

for command in "$@"; do
  case $command in
  etcd) build etcd go.etcd.io/etcd/server/v3 etcd ;;
  coredns) build coredns . coredns ;;
  *) build kubernetes "k8s.io/kubernetes/cmd/$command" "$command" "${flags[*]}" ;;
  esac
done
