#!/usr/bin/env bash
# Unpacks into the directory it is given the PJRT plugin of XLA's CPU backend, which tests of trainer/engine/xla need: from
# a PyPI wheel, pinned by its digest. For tests only: the one image that has it is theirs.
set -euo pipefail

dir=$1
wheel=lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl
sha256=1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1
plugin=pjrt_c_api_cpu_plugin.so

[ -e "$dir/$plugin" ] && [ "$(cat "$dir/stamp" 2>/dev/null)" = "$sha256" ] && exit 0
"$(dirname "$0")/../deps.sh" python3-pip unzip
echo "fetching $wheel"
mkdir -p "$dir"
work=$(mktemp -d "$dir/XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$work" lammps-jax-pjrt-cpu==0.11.2
echo "$sha256  $work/$wheel" | sha256sum --quiet --check -
unzip -q "$work/$wheel" "lammps_jax_pjrt_cpu/$plugin" -d "$work"
mv "$work/lammps_jax_pjrt_cpu/$plugin" "$dir/$plugin"
echo "$sha256" >"$dir/stamp"
