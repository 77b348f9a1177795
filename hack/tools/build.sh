#!/usr/bin/env bash
# Builds the tools of development from their Go modules: build.sh OUTPUT_DIR TOOL...
# Every folder here is a small module that pins one tool. One that is there already, of that version, is left alone.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift

for tool in "$@"; do
  package=$(sed -n 's/^tool //p' "$here/$tool/go.mod")
  stamp="$out/.$tool.stamp"
  want=$(cat "$here/$tool/go.mod" "$here/build.sh" | sha256sum)
  [ -x "$out/$tool" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && continue
  flags=()
  [ "$tool" != helm ] || flags=("-X helm.sh/helm/v4/internal/version.version=$(sed -n 's/.*helm.sh\/helm\/v4 \(v[0-9.]*\).*/\1/p' "$here/helm/go.mod")")
  echo "building $tool ($(date +%T))"
  (cd "$here/$tool" && CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w ${flags[*]}" -o "$out/$tool" "$package")
  echo "$want" >"$stamp"
done
