#!/usr/bin/env bash
# Prints the directory of CIFAR-10 as JPEG files, train/<class>/ and test/<class>/: DATA, or
# $SIMCLR_TEST_DATA/cifar10-jpeg.tar.gz extracted, once; nothing where there is neither.
set -euo pipefail

directory=build/bench/cifar10-jpeg
archive=${SIMCLR_TEST_DATA:+$SIMCLR_TEST_DATA/cifar10-jpeg.tar.gz}

if [ -n "${DATA:-}" ]; then
  [ -d "$DATA/train" ] && [ -d "$DATA/test" ] || { echo "DATA=$DATA: it has no train/ and test/" >&2; exit 1; }
  directory=$DATA
elif [ ! -d $directory ]; then
  [ -n "$archive" ] || { echo "no CIFAR-10: neither DATA= (train/<class>/, test/<class>/) nor SIMCLR_TEST_DATA= (cifar10-jpeg.tar.gz) is set" >&2; exit 0; }
  mkdir -p $directory.part
  tar -xzf "$archive" -C $directory.part
  mv $directory.part $directory
fi
echo "$directory"
