#!/usr/bin/env bash
# Installs PyTorch from PyPI into build/bench/venv, 5 GB with the CUDA libraries that its wheel wants, once.
set -euo pipefail

venv=build/bench/venv
requirements=hack/bench/requirements.txt
cmp -s $requirements $venv/requirements.txt && exit 0

python3 -c 'import ensurepip, venv' 2>/dev/null || hack/deps.sh python3 python3-venv
echo "installing PyTorch into $venv (5 GB)" >&2
python3 -m venv $venv
$venv/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --requirement $requirements
$venv/bin/python -c 'import torch, torchvision'
cp $requirements $venv/requirements.txt
