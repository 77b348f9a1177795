#!/usr/bin/env bash
# Installs the Debian packages it is given, where they are missing; given none, those that building and testing need: a
# C++ compiler, oneDNN and libjpeg-turbo for the trainer.
set -euo pipefail

packages=("$@")
[ $# -gt 0 ] || packages=(g++ libdnnl-dev libjpeg62-turbo-dev)
missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "These Debian packages are missing: ${missing[*]}. Install them, or run this as root on Debian 12." >&2
  exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
