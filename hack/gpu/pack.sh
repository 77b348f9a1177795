#!/usr/bin/env bash
# Packs into a directory all that `make check-gpu` needs on a machine without a network: programs, the engine's tests, their shared
# libraries, CIFAR-10, and JAX with XLA's plugin and NVIDIA's libraries, for the Python of that machine, PYTHON_VERSION; with WHEELS=none
# none of the last, where that machine's python3 has them: then it is small, and an archive is beside it.
set -euo pipefail

pack=$1 data=$2
wheels=${WHEELS:-all} version=${PYTHON_VERSION:-3.12}
case $version in 3.12 | 3.13 | 3.14) ;; *) echo "PYTHON_VERSION=$version: JAX 0.11 is for Python 3.12, 3.13 and 3.14 (hack/gpu/requirements.txt)" >&2; exit 1 ;; esac

mkdir -p "$pack/lib"
export CGO_ENABLED=1
for program in gpu=./hack/gpu step=./hack/bench/trainer/step simclr-trainer=./cmd/trainer; do
  go build -trimpath -ldflags '-s -w' -o "$pack/${program%%=*}" "${program#*=}"
done
go test -c -trimpath -ldflags '-s -w' -o "$pack/xla.test" ./trainer/engine/xla
# Debian's, which that machine may lack; never those of C and C++, of which JAX wants its own.
for program in simclr-trainer step xla.test; do ldd "$pack/$program"; done | awk '$2 == "=>" {print $3}' | sort -u |
  grep -vE '/(ld-linux-x86-64|libstdc\+\+|libgcc_s|libc|libm|libdl|libpthread|librt|libresolv)\.so' | xargs -I{} cp -L {} "$pack/lib/"
# The oldest glibc that has what they call; the wheels are content with an older one.
objdump -T "$pack"/{gpu,step,simclr-trainer,xla.test} "$pack"/lib/* | grep -oP 'GLIBC_\K[0-9.]+' | sort -uV | tail -n 1 >"$pack/glibc"
cp hack/gpu/check.sh hack/gpu/step_jax.py hack/accelerators/peer.py config/samples/cifar10-yardstick.yaml "$pack/"
[ -n "$data" ] || { echo "no CIFAR-10: see hack/bench/cifar10.sh" >&2; exit 1; }
tar -C "$data" --sort=name --mtime=@0 --owner=0 --group=0 -cJf "$pack/cifar10.tar.xz" train test

if [ "$wheels" != none ]; then
  "$(dirname "$0")/../deps.sh" python3-pip
  { cmp -s hack/gpu/requirements.txt "$pack/site/requirements.txt" && [ "$(cat "$pack/site/python-version")" = "$version" ]; } || {
    echo "JAX and NVIDIA's libraries for Python $version (5 GB)" >&2
    rm -rf "$pack/site"
    platforms=()
    for glibc in {17..31}; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done # pip takes a platform for itself alone, not older ones
    python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile --no-deps --ignore-requires-python --require-hashes --only-binary :all: --python-version "$version" \
      "${platforms[@]}" --platform manylinux2014_x86_64 --target "$pack/site" --requirement hack/gpu/requirements.txt
    echo "$version" >"$pack/site/python-version"
    cp hack/gpu/requirements.txt "$pack/site/requirements.txt"
  }
else
  rm -rf "$pack/site"
  XZ_OPT='-T1 -6' tar -C "$(dirname "$pack")" --exclude="$(basename "$pack")/data" -cJf "$pack.tar.xz" "$(basename "$pack")"
  ls -l "$pack.tar.xz" >&2
fi
echo "$pack is packed; on the machine with the GPU: $(basename "$pack")/check.sh" >&2
