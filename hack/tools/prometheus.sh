#!/usr/bin/env bash
# Prometheus and promtool of Debian for the tests: prometheus.sh OUTPUT_DIR. The package is unpacked, not installed, so that no
# service starts.
set -euo pipefail

mkdir -p "$1"
out=$(cd "$1" && pwd)
[ -x "$out/prometheus" ] && [ -x "$out/promtool" ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "The tests of alerts and dashboard need Debian 12, whose package prometheus they use." >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
cd "$work"
download() { apt-get -qq -o APT::Sandbox::User=root download prometheus; }
download 2>/dev/null || { apt-get update -qq && download; }
dpkg-deb --extract prometheus_*.deb .
mv usr/bin/prometheus usr/bin/promtool "$out"
