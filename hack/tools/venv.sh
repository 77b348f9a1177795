#!/usr/bin/env bash
# Installs the wheels that a directory's requirements.txt lists from PyPI into a virtual environment, once. Where the list has
# digests, pip wants them of every wheel.
#
#     venv.sh hack/bench build/bench/venv "PyTorch, 5 GB"
set -euo pipefail

requirements=$1/requirements.txt venv=$2 what=$3
cmp -s "$requirements" "$venv/requirements.txt" && exit 0

python3 -c 'import ensurepip, venv' 2>/dev/null || "$(dirname "$0")/../deps.sh" python3 python3-venv
echo "installing into $venv: $what" >&2
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check --only-binary :all: --requirement "$requirements"
"$venv/bin/pip" check >&2
cp "$requirements" "$venv/requirements.txt"
