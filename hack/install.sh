#!/usr/bin/env bash
# make install: the operator into the cluster, with its Helm chart. More values: make install HELM_FLAGS="--set …"
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/environment.sh

# the same tag may be another image than before: the pods are replaced when its archive has changed
built=$(cat build/images/manager.tar 2>/dev/null | sha256sum | cut -c 1-12)
$kubectl create namespace simclr-system --dry-run=client -o yaml | $kubectl apply -f - >/dev/null
$kubectl label namespace simclr-system --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null
$helm upgrade --install simclr-operator charts/simclr-operator --namespace simclr-system --wait --timeout 3m \
  --set-string "podAnnotations.simclr\.dev/image=$built" "${values[@]}" "$@" >/dev/null
$kubectl -n simclr-system get deployment simclr-operator
