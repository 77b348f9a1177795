#!/usr/bin/env bash
# Installs JAX and the compilers for TPUs and GPUs from PyPI into build/accelerators/venv, 5 GB, once.
set -euo pipefail

venv=build/accelerators/venv
requirements=hack/accelerators/requirements.txt
cmp -s $requirements $venv/requirements.txt && exit 0

python3 -c 'import ensurepip, venv' 2>/dev/null || hack/deps.sh python3 python3-venv
echo "installing JAX and the compilers into $venv (5 GB)" >&2
python3 -m venv $venv
$venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: --requirement $requirements
cp $requirements $venv/requirements.txt
