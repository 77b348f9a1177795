#!/usr/bin/env bash
# make install-jobset: JobSet, which runs of several workers need, into the local cluster, from its Go module. Elsewhere it is
# installed as its own documentation says.
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/environment.sh
[ "$cluster" = local ] || die "install-jobset is for the local cluster: kubectl apply --server-side -f https://github.com/kubernetes-sigs/jobset/releases/download/v0.12.0/manifests.yaml"

go -C hack/images run . build --output "$1" --tag "$tag" jobset
build/k8s/bin/cluster load "$1/jobset.tar"
chart=$(go -C hack/tools/jobset list -m -f '{{.Dir}}' sigs.k8s.io/jobset)/charts/jobset
$helm upgrade --install jobset "$chart" --namespace jobset-system --create-namespace --wait --timeout 3m \
  --set image.repository=simclr.local/jobset --set "image.tag=$tag" --set image.pullPolicy=Never \
  --set controller.resources.requests.cpu=50m >/dev/null
$kubectl -n jobset-system get deployments
