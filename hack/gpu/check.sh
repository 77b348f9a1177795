#!/usr/bin/env bash
# Checks the trainer on this machine's NVIDIA GPU, from what `make check-gpu-prepare` has packed beside this file, with no network.
# Exit code 12: there is no GPU; 10: the C library is too old. Arguments are the program's (gpu -help). PYTHON: the Python that has JAX, where none is packed.
set -euo pipefail

pack=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
needed=$(cat "$pack/glibc") libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true) # such as glibc 2.41
if [ "$(printf '%s\n' "$needed" "${libc#glibc }" | sort -V | head -n 1)" != "$needed" ]; then
  echo "check-gpu: what is packed needs glibc $needed or newer, and this machine has ${libc:-none}: run it in a newer system, or a container of one" \
    "(Debian 12, Ubuntu 22.04, RHEL 9), or pack it on one as old" >&2
  exit 10
fi
export LD_LIBRARY_PATH=$pack/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export JAX_SKIP_CUDA_CONSTRAINTS_CHECK=1 TF_CPP_MIN_LOG_LEVEL=2 PEER=$pack
if [ -d "$pack/site" ]; then
  export PYTHONPATH=$pack/site
  wanted=$(cat "$pack/site/python-version")
  if [ -z "${PYTHON:-}" ] && command -v "python$wanted" >/dev/null; then python=python$wanted; fi
  found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)
  if [ "$found" != "$wanted" ]; then
    echo "check-gpu: JAX is packed for Python $wanted, and $python is ${found:-not there}: the step is measured without JAX beside it." \
      "Name a Python with PYTHON=, or pack again with PYTHON_VERSION=" >&2
  fi
fi
for cuda in "$pack/site/nvidia/cu13" "$("$python" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2>/dev/null)/cu13" /usr/local/cuda; do
  if [ -e "$cuda/nvvm/libdevice/libdevice.10.bc" ]; then
    export XLA_FLAGS="--xla_gpu_cuda_data_dir=$cuda ${XLA_FLAGS:-}"
    break
  fi
done
if [ ! -d "$pack/data/test" ]; then
  mkdir -p "$pack/data.part"
  tar -C "$pack/data.part" -xJf "$pack/cifar10.tar.xz"
  mv "$pack/data.part" "$pack/data"
fi
exec "$pack/gpu" -pack "$pack" -trainer "$pack/simclr-trainer" -python "$python" -data "$pack/data" -threads "$(nproc)" "$@"
